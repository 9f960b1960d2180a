"""The page of a gesture: preview, reason, confirmation, service, answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from caracal_site import database
from caracal_site.console import disclosure, display, refusals
from caracal_site.console.actors import console_actor
from caracal_site.console.gestures import Done, Gesture, GestureForm
from caracal_site.errors import CaracalError

if TYPE_CHECKING:
    from caracal_site.console.pages import ConsoleAdmin

CONFIRMED = "confirmed"


def answer(
    model_admin: ConsoleAdmin,
    request: HttpRequest,
    gesture: Gesture,
    rows: Sequence[Model],
    *,
    bulk: bool,
) -> HttpResponse:
    """Shows the page, or does what its form confirms."""
    back = _back(model_admin, rows, bulk)
    subjects = [row for row in rows if gesture.offered_for(row)]
    if not subjects:
        messages.warning(request, f"{gesture.button} is not possible here any more.")
        return HttpResponseRedirect(back)
    impact = gesture.preview(subjects)
    sent = request.POST if CONFIRMED in request.POST else None
    form = gesture.form_class(gesture, impact, sent)
    if sent is not None and form.is_valid():
        done = _attempt(request, gesture, subjects, form)
        if done is not None:
            return _answered(model_admin, request, done, back)
        impact = gesture.preview(subjects)
    if sent is not None:
        form.look_again(impact)
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "list_title": model_admin.title,
        "title": model_admin.asked(gesture, len(subjects)),
        "gesture": gesture,
        "impact": impact,
        "form": form,
        "subjects": subjects,
        "skipped": len(rows) - len(subjects),
        "links": [
            display.object_link(row, model_admin.heading(row)) for row in subjects
        ],
        "subject": None if bulk else subjects[0],
        "bulk": bulk,
        "back": back,
        "action": model_admin.gesture_url(gesture, None if bulk else subjects[0]),
        "media": model_admin.media,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "console/gesture.html", context)


def _attempt(
    request: HttpRequest, gesture: Gesture, rows: Sequence[Model], form: GestureForm
) -> Done | None:
    """What was done; None when it was refused, which the form then says."""
    answers = form.cleaned_data
    zones = {getattr(row, "zone_id", None) for row in rows}
    actor = console_actor(request.user)
    try:
        if gesture.reveals:
            disclosure.refuse_spent(request, answers["once"])
        done = database.retried(lambda: gesture.perform(actor, rows, answers))
    except refusals.EXPECTED as error:
        refusal: CaracalError = refusals.understood(error)
        zone_id = zones.pop() if len(zones) == 1 else None
        refusals.record(actor, refusal, zone_id=zone_id)
        form.add_error(None, refusals.sentence(refusal))
        return None
    if gesture.reveals:
        disclosure.spend(request, answers["once"])
    return done


def _answered(
    model_admin: ConsoleAdmin, request: HttpRequest, done: Done, back: str
) -> HttpResponse:
    if done.disclosure is not None:
        context: dict[str, Any] = model_admin.admin_site.each_context(request)
        about = {"opts": model_admin.opts, "list_title": model_admin.title}
        return disclosure.page(request, done.disclosure, {**context, **about})
    tell = messages.success if done.is_good else messages.warning
    tell(request, done.sentence)
    return HttpResponseRedirect(done.url or back)


def _back(model_admin: ConsoleAdmin, rows: Sequence[Model], bulk: bool) -> str:
    if bulk or not rows:
        meta = model_admin.opts
        return reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
    return display.change_url(type(rows[0]), str(rows[0].pk))
