"""Bodies of policies."""

from __future__ import annotations

from caracal_site.api.fields import StrictSerializer, TextField


class PolicyContentSerializer(StrictSerializer):
    """A policy's text. How long it may be is a rule about policies, not of the body."""

    content = TextField(min_length=1)
    schema_version = TextField(required=False)
