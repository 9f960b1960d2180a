"""The console's own files, as the API deployment serves them."""

from __future__ import annotations

import pytest
from django.test import Client


@pytest.mark.parametrize("name", ["console.css"])
def test_the_console_serves_its_own_styles(name: str) -> None:
    response = Client(HTTP_HOST="localhost").get(f"/static/console/{name}")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/css")
    assert b"".join(response)  # type: ignore[arg-type]
