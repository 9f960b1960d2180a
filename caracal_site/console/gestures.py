"""Gestures: what a person does to rows besides editing them.

Each opens a page that says what will be affected, from the query the service itself
uses, and asks for what the service needs; then it calls the service.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from django import forms
from django.db.models import Model
from django.http import QueryDict

from caracal_site.actors import Actor
from caracal_site.console import display
from caracal_site.console.disclosure import Disclosure, OnceField
from caracal_site.console.panels import Cell

# Past this many affected things the person types what is about to happen.
LARGE = 10
BULK_LIMIT = 100
REASON_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Affected:
    """Some of what a gesture touches: how many, and the first of them as links.
    ``named`` is how many the examples stand for, where one stands for several."""

    what: str
    count: int
    examples: Sequence[Cell] = ()
    named: int | None = None

    @property
    def unnamed(self) -> int:
        """How many are not among the examples."""
        named = len(self.examples) if self.named is None else self.named
        return self.count - named


@dataclass(frozen=True, slots=True)
class Impact:
    """Everything a gesture would touch, and what a person should know.

    ``phrase`` is to be typed before it happens, however small the effect.
    """

    affected: Sequence[Affected] = ()
    notes: Sequence[Cell] = ()
    phrase: str = ""

    @property
    def size(self) -> int:
        return sum(part.count for part in self.affected)

    @property
    def parts(self) -> list[Affected]:
        return [part for part in self.affected if part.count]

    @property
    def is_large(self) -> bool:
        return self.size > LARGE


@dataclass(frozen=True, slots=True)
class Done:
    """What was done, in a sentence, and the secret it made, if any. What was only
    found out may be no good news. ``url`` leads on when the row is no more."""

    sentence: str
    disclosure: Disclosure | None = field(default=None, repr=False)
    is_good: bool = True
    url: str = ""


class GestureForm(forms.Form):
    """A reason, and for large effects the gesture in the person's own typing.

    ``seen`` is how much the person was told would be affected: when it has grown
    since, they are told again instead.
    """

    required_css_class = "required"

    reason = forms.CharField(
        max_length=REASON_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        help_text="Kept in the audit trail and told to everybody who is affected.",
    )
    typed = forms.CharField(required=False, label="Confirmation")
    seen = forms.IntegerField(widget=forms.HiddenInput)
    once = OnceField()

    def __init__(
        self, gesture: Gesture, impact: Impact, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.impact = impact
        self.phrase = gesture.phrase(impact)
        self.fields["seen"].initial = impact.size
        if not gesture.needs_reason:
            del self.fields["reason"]
        if not gesture.reveals:
            del self.fields["once"]
        if self.phrase:
            self.fields["typed"].required = True
            self.fields["typed"].widget.attrs["autocomplete"] = "off"
            self.fields["typed"].help_text = f"Type: {self.phrase}"
        else:
            del self.fields["typed"]

    def look_again(self, impact: Impact) -> None:
        """Has a form that is shown again hold what the person is told this time."""
        data = cast(QueryDict, self.data).copy()
        data["seen"] = str(impact.size)
        self.data = data

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.phrase and cleaned.get("typed") and cleaned["typed"] != self.phrase:
            self.add_error("typed", f"Type exactly: {self.phrase}")
        seen = cleaned.get("seen")
        if seen is not None and self.impact.size > seen:
            self.add_error(
                None, "More would be affected than you were shown. Look again."
            )
        return cleaned


class Gesture(ABC):
    """One gesture on rows of one model.

    ``name`` is in the URL, ``button`` on the button, ``question`` heads the page and
    ``explanation`` says what will happen and whether it can be undone. ``dismiss`` is
    on the way out, which must not be taken for the button.
    """

    name: ClassVar[str]
    button: ClassVar[str]
    question: ClassVar[str]
    explanation: ClassVar[str]
    dismiss: ClassVar[str] = "Cancel"
    needs_reason: ClassVar[bool] = True
    is_harmful: ClassVar[bool] = True
    is_bulk: ClassVar[bool] = False
    reveals: ClassVar[bool] = False
    form_class: ClassVar[type[GestureForm]] = GestureForm

    def offered_for(self, row: Any) -> bool:
        """Whether the gesture makes sense for the row as it stands."""
        return True

    @abstractmethod
    def preview(self, rows: Sequence[Any]) -> Impact:
        """What ``perform`` would touch, as things stand."""

    @abstractmethod
    def perform(
        self, actor: Actor, rows: Sequence[Any], answers: dict[str, Any]
    ) -> Done:
        """Calls the service. ``answers`` are the form's."""

    def phrase(self, impact: Impact) -> str:
        """What has to be typed; empty when nothing has."""
        if impact.phrase or not (self.is_harmful and impact.is_large):
            return impact.phrase
        return f"{self.button.lower()} {impact.size}"


def examples(
    model: type[Model] | str, ids: Sequence[str], shown: int = 12
) -> list[Cell]:
    """The first of ``ids`` as links."""
    return [display.link_to(model, pk) for pk in ids[:shown]]
