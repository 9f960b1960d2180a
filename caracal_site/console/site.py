"""The admin console's site."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from django import forms
from django.contrib import admin as default
from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from caracal_site import context, rates
from caracal_site.console import display, overview, refusals, sign_ins, timeline
from caracal_site.errors import RateLimited

SECTIONS = ("Tenants", "Policies", "Authority", "Evidence", "Platform")
LATEST = 8
SIGN_INS_PER_MINUTE = 10


class SignInForm(AdminAuthenticationForm):
    """Signing in, a few attempts a minute for each name and address. What fails is
    counted, and recorded once a minute and address."""

    def clean(self) -> dict[str, Any]:
        name = str(self.cleaned_data.get("username", ""))
        subject = f"{context.current().source}:{name.casefold()}"
        try:
            rates.check("console_sign_in", subject, SIGN_INS_PER_MINUTE)
        except RateLimited as error:
            raise forms.ValidationError(
                "Too many attempts; try again in a minute.", code=error.code
            ) from None
        try:
            return super().clean()
        except forms.ValidationError:
            sign_ins.failed(name)
            raise


class ConsoleSite(AdminSite):
    """The human console of the platform."""

    site_header = "Caracal"
    site_title = "Caracal"
    index_title = "Control plane"
    site_url = None
    enable_nav_sidebar = True
    empty_value_display = display.EMPTY
    login_form = SignInForm
    sections: ClassVar[tuple[str, ...]] = SECTIONS

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self.disable_action("delete_selected")

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        return super().admin_view(refusals.rendered(view), cacheable)

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        response = super().login(request, extra_context)
        if request.method == "POST" and response.status_code == HTTPStatus.FOUND:
            sign_ins.signed_in(request.user)
        return response

    def logout(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        if request.method == "POST":
            sign_ins.signed_out(request.user)
        return super().logout(request, extra_context)

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        shown: dict[str, Any] = {"figures": overview.figures(request)}
        if request.user.has_perm("audit.view_adminauditevent"):
            reader = timeline.reader()
            shown["latest"] = [reader.entry(row) for row in reader.latest(LATEST)]
        return super().index(request, {**shown, **(extra_context or {})})

    def get_app_list(
        self, request: HttpRequest, app_label: str | None = None
    ) -> list[dict[str, Any]]:
        """The models by what they are for, not by the app they are in."""
        apps = super().get_app_list(request, app_label)
        if app_label is not None:
            return apps
        shown: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        for model in (model for app in apps for model in app["models"]):
            admin = self._registry[model["model"]]
            section = getattr(admin, "section", "") or SECTIONS[-1]
            named = {**model, "name": getattr(admin, "title", model["name"])}
            place = getattr(admin, "place", 0)
            shown.setdefault(section, []).append((place, named))
        return [
            {
                "name": section,
                "app_label": section.lower(),
                "app_url": f"#{section.lower()}",
                "has_module_perms": True,
                "models": [
                    model
                    for _, model in sorted(shown[section], key=lambda item: item[0])
                ],
            }
            for section in self.sections
            if section in shown
        ]


def entity_url(entity_type: str, entity_id: str) -> str:
    """The page of what an audit row is about, or nothing."""
    for model, admin in default.site._registry.items():
        if entity_type and getattr(admin, "entity_type", "") == entity_type:
            return display.change_url(model, entity_id)
    return ""
