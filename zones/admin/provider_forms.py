"""Forms of providers: one for each kind, made from the members of its configuration.

A secret is never in a form: its field is empty, and leaving it empty keeps what is
sealed.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms

from caracal_site.console.forms import LinesField
from caracal_site.errors import CaracalError, Issue
from zones import provider_values, rules
from zones.admin.scoped import ScopedForm
from zones.errors import InvalidProviderConfig
from zones.models import ProviderKind
from zones.provider_kinds import KINDS, Member, Shape

KEEP = "Leave empty to keep the present one."
WIDE = {"size": 60}


class SealedTextarea(forms.Textarea):
    """Never shows what was typed, not even when the form is shown again."""

    def format_value(self, value: Any) -> str:
        return ""


class SecretField(forms.CharField):
    """Taken as it is typed, with the line ends of Unix."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strip=False, **kwargs)

    def to_python(self, value: Any) -> str:
        return (super().to_python(value) or "").replace("\r\n", "\n")


class PairsField(forms.CharField):
    """Names with values, ``name=value``, one a line."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", forms.Textarea(attrs={"rows": 4, "cols": 60}))
        super().__init__(**kwargs)

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return "\n".join(f"{name}={text}" for name, text in value.items())

    def to_python(self, value: Any) -> Any:
        if isinstance(value, dict):
            return value
        pairs: dict[str, str] = {}
        for line in filter(None, map(str.strip, (value or "").splitlines())):
            name, equals, text = line.partition("=")
            if not equals or name.strip() in pairs:
                raise forms.ValidationError("Expected name=value, each name once.")
            pairs[name.strip()] = text.strip()
        return pairs

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool((initial or {}) != self.to_python(data))
        except forms.ValidationError:
            return True


class ProviderForm(ScopedForm):
    """The form of one kind; the row may be of another until the form is saved."""

    provider_kind: ClassVar[str] = ProviderKind.NONE

    kind = forms.CharField(widget=forms.HiddenInput, required=False)
    name = forms.CharField(max_length=512, required=False)
    identifier = forms.CharField(
        max_length=rules.MAX_PROVIDER_IDENTIFIER,
        required=False,
        widget=forms.TextInput(attrs=WIDE),
        help_text="provider://… Made from the name when empty.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        row, bound = kwargs.get("instance"), bool(args and args[0] is not None)
        known = {"kind": self.provider_kind}
        if row is not None and row.kind == self.provider_kind:
            known |= row.config_json
        elif row is not None and bound:
            known["kind"] = row.kind
        kwargs["initial"] = {**known, **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)
        if row is not None and not row._state.adding:
            self.fields["identifier"].help_text = "provider://…"
        keeps = () if row is None or row.kind != self.provider_kind else row
        for name in getattr(keeps, "secret_config_keys", ()):
            if name in self.fields:
                told = self.fields[name].help_text
                self.fields[name].help_text = f"{told} {KEEP}"

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        adding = self.instance._state.adding
        if adding and not (cleaned.get("name") or cleaned.get("identifier")):
            self.add_error("name", "A name or an identifier is needed.")
        return cleaned

    def config(self) -> dict[str, Any]:
        """The configuration as it was filled in; what was left empty is not in it."""
        found, stored = {}, self.initial
        for member in KINDS[self.provider_kind].members:
            value = self.cleaned_data[member.name]
            if value or (value is False and member.name in stored):
                found[member.name] = value
        if self._follows_endpoint():
            del found["allowed_token_hosts"]
        return found

    def changes(self) -> dict[str, Any]:
        """What was changed; an emptied name or identifier stays what it was."""
        changed = super().changes()
        found = {key: changed.get(key) for key in ("name", "identifier")}
        found = {key: value for key, value in found.items() if value}
        if self.instance.kind != self.provider_kind:
            found["kind"] = self.provider_kind
        if "kind" in found or changed.keys() & KINDS[self.provider_kind].named.keys():
            found["config_json"] = self.config()
        return found

    def _follows_endpoint(self) -> bool:
        """Whether the allowed host is the endpoint's own, and the endpoint moves."""
        names = {"token_endpoint", "allowed_token_hosts"} & set(self.changed_data)
        if names != {"token_endpoint"} or "token_endpoint" not in self.initial:
            return False
        own = provider_values.host_of(self.initial["token_endpoint"])
        return bool(self.initial.get("allowed_token_hosts") == [own])

    def _show(self, refusal: CaracalError) -> None:
        """Faults of the configuration are shown at the fields they are about."""
        if isinstance(refusal, InvalidProviderConfig):
            for issue in refusal.issues:
                self._show_issue(issue)
        else:
            super()._show(refusal)

    def _show_issue(self, issue: Issue) -> None:
        name = issue.path[-1]
        at = name if name in self.fields else None
        told = issue.message[:1].upper() + issue.message[1:]
        self.add_error(at, f"{told}." if at else f"{name} {issue.message}.")


def _field(member: Member) -> forms.Field:
    common: dict[str, Any] = {"required": False, "help_text": member.about}
    match member.shape:
        case Shape.FLAG:
            return forms.BooleanField(**common)
        case Shape.CHOICE:
            choices = [(choice, choice) for choice in member.choices]
            return forms.ChoiceField(choices=choices, initial=member.default, **common)
        case Shape.LINES:
            box = forms.Textarea(attrs={"rows": 4, "cols": 60})
            return LinesField(widget=box, **common)
        case Shape.PAIRS:
            return PairsField(**common)
        case Shape.SECRET:
            hidden = {**WIDE, "autocomplete": "new-password"}
            return SecretField(widget=forms.PasswordInput(attrs=hidden), **common)
        case Shape.SECRET_LINES:
            sealed = SealedTextarea(
                attrs={"rows": 6, "cols": 60, "spellcheck": "false"}
            )
            return SecretField(widget=sealed, **common)
        case Shape.TEXT:
            text = forms.TextInput(attrs=WIDE)
            common["required"] = member.needed
            return forms.CharField(widget=text, **common)


def _form(kind: str) -> type[ProviderForm]:
    members = {member.name: _field(member) for member in KINDS[kind].members}
    name = f"{kind.title().replace('_', '')}Form"
    return type(name, (ProviderForm,), {"provider_kind": kind, **members})


FORMS = {kind: _form(kind) for kind in KINDS}
