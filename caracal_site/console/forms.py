"""Forms of the console: they check shapes; rules and writing are the services'."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms

from caracal_site.console import refusals
from caracal_site.errors import CaracalError


class FormWrites(TypeError):
    """A form was asked to save: only services write."""


class LinesField(forms.CharField):
    """A list of texts, one a line; blank lines do not count."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", forms.Textarea(attrs={"rows": 6, "cols": 60}))
        super().__init__(**kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        return [line.strip() for line in (text or "").splitlines() if line.strip()]

    def validate(self, value: Any) -> None:
        if self.required and not value:
            raise forms.ValidationError(
                self.error_messages["required"], code="required"
            )

    def run_validators(self, value: Any) -> None:
        for line in value:
            super().run_validators(line)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(list(initial or []) != self.to_python(data))


class ConsoleForm(forms.ModelForm):
    """A form of one row.

    ``refusal`` is set on a subclass when a service has refused what this form holds:
    it is shown again with the reason, at the field it is about where that is known.
    """

    refusal: ClassVar[CaracalError | None] = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.fields.pop("once", None)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.refusal is not None:
            self._show(self.refusal)
        return cleaned

    def _show(self, refusal: CaracalError) -> None:
        placed = False
        for issue in getattr(refusal, "issues", ()):
            if issue.path and issue.path[0] in self.fields:
                self.add_error(issue.path[0], issue.message)
                placed = True
            else:
                self.add_error(None, f"{'.'.join(issue.path)}: {issue.message}")
        if not placed:
            self.add_error(None, refusals.sentence(refusal))

    def _post_clean(self) -> None:
        """Nothing: Django would fill the row in and judge it, which services do."""

    def save(self, commit: bool = True) -> Any:
        raise FormWrites

    def save_m2m(self) -> None:
        """Nothing is left to save when the service has run."""

    def changes(self) -> dict[str, Any]:
        """The new value of every field a person changed."""
        return {name: self.cleaned_data[name] for name in self.changed_data}
