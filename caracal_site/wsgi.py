"""The API deployment: Management API, console and documentation, over WSGI."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "caracal_site.settings")

application = get_wsgi_application()
