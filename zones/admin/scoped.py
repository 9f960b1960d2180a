"""What lives in one zone: added by choosing the zone first."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.db.models import (
    Count,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from agents.models import Capacity
from caracal_site.console.base import DomainAdmin
from caracal_site.console.forms import ConsoleForm
from zones.models import Zone

OFFERED_ZONES = 30


class ScopedForm(ConsoleForm):
    """A form of something in a zone; ``zone_id`` is known before it is filled in."""

    zone_id: str

    zone = forms.ModelChoiceField(
        Zone.objects.live(), required=False, widget=forms.HiddenInput
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zone_id = self._zone_id()
        if self.instance._state.adding:
            self.fields["zone"].required = True
        else:
            del self.fields["zone"]

    def _zone_id(self) -> str:
        if not self.instance._state.adding:
            return str(self.instance.zone_id)
        return str(self.data.get("zone") or self.initial.get("zone") or "")


class ScopedAdmin(DomainAdmin):
    """Asks for the zone before it shows the form to add something."""

    form: type[ConsoleForm] = ScopedForm
    list_select_related: ClassVar[tuple[str, ...]] = ("zone",)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            return super().add_view(request, form_url, extra_context)
        wanted = request.POST.get("zone") or request.GET.get("zone")
        if not wanted:
            return self._choose_zone(request)
        zone = Zone.objects.live().filter(pk=wanted).first()
        if zone is None:
            messages.error(request, "There is no such live zone.")
            return HttpResponseRedirect(request.path)
        context = {"subtitle": f"in {zone.name}", **(extra_context or {})}
        return super().add_view(request, form_url, context)

    def _choose_zone(self, request: HttpRequest) -> HttpResponse:
        sought = request.GET.get("q", "").strip().replace("\0", "")
        zones = Zone.objects.listed().order_by("name", "pk")
        if sought:
            zones = zones.filter(Q(name__icontains=sought) | Q(slug__icontains=sought))
        found = list(zones[:OFFERED_ZONES])
        if len(found) == 1 and not sought:
            return HttpResponseRedirect(f"{request.path}?zone={found[0].pk}")
        context = {
            **self.admin_site.each_context(request),
            "title": f"Add {self.opts.verbose_name}",
            "opts": self.opts,
            "list_title": self.title,
            "zones": found,
            "sought": sought,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "console/choose_zone.html", context)


def counted(rows: QuerySet, by: str) -> Combinable:
    """How many of ``rows`` refer to the outer row by ``by``."""
    found = rows.filter(**{by: OuterRef("pk")}).order_by().values(by)
    counts = found.annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counts, output_field=IntegerField()), Value(0))


def live_agents() -> Combinable:
    """How many agents of the outer row, a zone or an application, are live."""
    slots = Capacity.objects.filter(scope_id=OuterRef("pk")).order_by()
    sums = slots.values("scope_id").annotate(number=Sum("live")).values("number")
    return Coalesce(Subquery(sums, output_field=IntegerField()), Value(0))
