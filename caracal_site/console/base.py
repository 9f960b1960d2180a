"""The two kinds of models the console shows.

``EvidenceAdmin`` is read-only for everybody, superusers included. ``DomainAdmin``
writes by calling services, and has no other way to.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse

from caracal_site.actors import Actor
from caracal_site.console import disclosure, refusals
from caracal_site.console.actors import console_actor
from caracal_site.console.disclosure import Disclosure
from caracal_site.console.forms import ConsoleForm
from caracal_site.console.pages import ConsoleAdmin
from caracal_site.errors import CaracalError


class EvidenceAdmin(ConsoleAdmin):
    """A model nobody changes by hand. All its fields are read-only."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(
            f"{self.opts.app_label}.view_{self.opts.model_name}"
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return flatten_fieldsets(self.get_fieldsets(request, obj))

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        raise PermissionDenied


class DomainAdmin(ConsoleAdmin):
    """A model whose rows are added and changed by services.

    A subclass says how by overriding ``create`` and ``change``; what it does not
    override cannot be done. Deleting cannot be done at all: ending something is a
    gesture. ``reveals`` is set where creating makes a secret.
    """

    form: type[ConsoleForm] = ConsoleForm
    reveals: ClassVar[bool] = False

    def create(
        self, actor: Actor, form: ConsoleForm
    ) -> tuple[Model, Disclosure | None]:
        """Calls the service that makes a row; returns it and the secret it made."""
        raise PermissionDenied

    def change(self, actor: Actor, obj: Any, form: ConsoleForm) -> Model:
        """Calls the service that changes the row, with ``form.changes()``; returns the
        row as it is then."""
        raise PermissionDenied

    def is_ended(self, obj: Any) -> bool:
        """Whether the row can no longer be changed."""
        return getattr(obj, "archived_at", None) is not None

    def has_add_permission(self, request: HttpRequest) -> bool:
        able = type(self).create is not DomainAdmin.create
        return able and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        able = type(self).change is not DomainAdmin.change
        ended = obj is not None and self.is_ended(obj)
        return able and not ended and super().has_change_permission(request, obj)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        # Not Django's own, which opens a transaction: a service is a whole one.
        view: Any = self._changeform_view  # type: ignore[attr-defined]
        try:
            shown: HttpResponse = view(request, object_id, form_url, extra_context)
        except refusals.EXPECTED as error:
            if request.method != "POST":
                raise
            refusal = refusals.understood(error)
            self._record(request, object_id, refusal)
            request.refusal = refusal  # type: ignore[attr-defined]
            shown = view(request, object_id, form_url, extra_context)
        return shown

    def _record(
        self, request: HttpRequest, object_id: str | None, refusal: CaracalError
    ) -> None:
        row = self.get_object(request, unquote(object_id)) if object_id else None
        zone_id = getattr(row, "zone_id", None)
        refusals.record(console_actor(request.user), refusal, zone_id=zone_id)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[ModelForm]:
        form = super().get_form(request, obj, change=change, **kwargs)
        refusal = getattr(request, "refusal", None)
        return type(form.__name__, (form,), {"refusal": refusal})

    def save_form(self, request: HttpRequest, form: ConsoleForm, change: bool) -> Model:
        unchanged: Model = form.instance
        return unchanged

    def save_model(
        self, request: HttpRequest, obj: Any, form: ConsoleForm, change: bool
    ) -> None:
        actor = console_actor(request.user)
        if change:
            if form.changed_data:
                vars(obj).update(vars(self.change(actor, obj, form)))
            return
        if self.reveals:
            disclosure.refuse_spent(request, form.cleaned_data["once"])
        created, secret = self.create(actor, form)
        vars(obj).update(vars(created))
        if secret is not None:
            disclosure.spend(request, form.cleaned_data["once"])
            request.disclosure = secret  # type: ignore[attr-defined]

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        secret = getattr(request, "disclosure", None)
        if secret is None:
            return super().response_add(request, obj, post_url_continue)
        about = {"opts": self.opts, "list_title": self.title}
        context = {**self.admin_site.each_context(request), **about}
        return disclosure.page(request, secret, context)
