"""What lives in one zone: added by choosing the zone first."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.apps import apps
from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from caracal_site.console.base import DomainAdmin
from caracal_site.console.forms import ConsoleForm

OFFERED_ZONES = 30


class ScopedForm(ConsoleForm):
    """A form of something in a zone; ``zone_id`` is known before it is filled in."""

    zone_id: str

    zone: Any = forms.ModelChoiceField(None, required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zone_id = self._zone_id()
        if self.instance._state.adding:
            zone: Any = self.fields["zone"]
            zone.queryset, zone.required = _zones().live(), True
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
        zone = _zones().live().filter(pk=wanted).first()
        if zone is None:
            messages.error(request, "There is no such live zone.")
            return HttpResponseRedirect(request.path)
        context = {"subtitle": f"in {zone.name}", **(extra_context or {})}
        return super().add_view(request, form_url, context)

    def _choose_zone(self, request: HttpRequest) -> HttpResponse:
        sought = request.GET.get("q", "").strip().replace("\0", "")
        zones = _zones().listed().order_by("name", "pk")
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


def _zones() -> Any:
    # The kernel does not import the app whose model it is.
    return apps.get_model("zones", "Zone").objects
