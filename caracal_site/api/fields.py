"""Serializer parts that take what was sent literally: nothing coerced or unknown."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

# White space as the contract trims it: Unicode's, and the byte order mark.
BLANKS = (
    " \t\n\r\v\f\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008"
    "\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
)


def utf16_length(text: str) -> int:
    """Length as the contract counts it: in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class TextField(serializers.Field[str, Any, Any, Any]):
    """A JSON string. ``trim`` strips white space before the length is checked."""

    default_error_messages = {
        "type": "expected a string",
        "short": "expected at least {min_length} characters",
        "long": "expected at most {max_length} characters",
    }

    def __init__(
        self,
        *,
        min_length: int = 0,
        max_length: int | None = None,
        trim: bool = False,
        **kwargs: Any,
    ) -> None:
        self.min_length, self.max_length, self.trim = min_length, max_length, trim
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("type")
        text = data.strip(BLANKS) if self.trim else data
        length = utf16_length(text)
        if length < self.min_length:
            self.fail("short", min_length=self.min_length)
        if self.max_length is not None and length > self.max_length:
            self.fail("long", max_length=self.max_length)
        return text

    def to_representation(self, value: Any) -> Any:
        return value


class FlagField(serializers.Field[bool, Any, Any, Any]):
    """A JSON boolean."""

    default_error_messages = {"type": "expected true or false"}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("type")
        return bool(data)

    def to_representation(self, value: Any) -> Any:
        return value


class WholeField(serializers.Field[int, Any, Any, Any]):
    """A JSON integer between two bounds."""

    default_error_messages = {
        "type": "expected a whole number",
        "range": "expected a whole number from {minimum} to {maximum}",
    }

    def __init__(self, *, minimum: int, maximum: int, **kwargs: Any) -> None:
        self.minimum, self.maximum = minimum, maximum
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("type")
        if not self.minimum <= data <= self.maximum:
            self.fail("range", minimum=self.minimum, maximum=self.maximum)
        return int(data)

    def to_representation(self, value: Any) -> Any:
        return value


class OneOfField(serializers.ChoiceField):
    """One of a closed set of strings, literally."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", input=data)
        return data


class StrictSerializer(serializers.Serializer[Any]):
    """A body whose every member is known."""

    default_error_messages = {"type": "expected an object"}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError(
                {"non_field_errors": [self.error_messages["type"]]}
            )
        try:
            values = super().to_internal_value(data)
            faults: dict[str, Any] = {}
        except serializers.ValidationError as error:
            values, faults = {}, dict(error.detail)  # type: ignore[arg-type]
        for unknown in sorted(data.keys() - self.fields.keys()):
            faults[unknown] = ["unknown member"]
        if faults:
            raise serializers.ValidationError(faults)
        return values
