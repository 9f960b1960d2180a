"""What every page of the console has: permissions, history, panels, gestures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from caracal_site.console import confirming, display, timeline
from caracal_site.console.gestures import BULK_LIMIT, Gesture
from caracal_site.console.paging import BoundedPaginator
from caracal_site.console.panels import Panel, Pictures, Story

HISTORY_PAGE = 50
STORY_LENGTH = 8


class ConsoleChangeList(ChangeList):
    """A list that says how many rows there are without a filter only when it is one."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count


class ConsoleAdmin(admin.ModelAdmin):
    """A model in the console.

    ``section`` and ``place`` put it into the navigation; ``label`` and ``one`` are
    what people call its rows and one of them; ``entity_type`` is what the audit trail
    does. ``secret_fields`` are never loaded, shown, searched or
    filtered by. ``gestures`` are offered on its pages.
    """

    section: ClassVar[str] = ""
    place: ClassVar[int] = 0
    label: ClassVar[str] = ""
    one: ClassVar[str] = ""
    entity_type: ClassVar[str] = ""
    secret_fields: ClassVar[tuple[str, ...]] = ()
    gestures: ClassVar[tuple[Gesture, ...]] = ()

    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator
    ordering = ("-id",)

    # What may be seen and asked for.

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).defer(*self.secret_fields)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Only the declared filters: any other could ask for a secret bit by bit."""
        declared = {
            getattr(item, "parameter_name", item)
            for item in self.get_list_filter(request)
        }
        return lookup.removesuffix("__exact").removesuffix("__isnull") in declared

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        raise PermissionDenied

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        raise PermissionDenied

    # The audit timeline is the history; Django's log entries are not written.

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        return None

    def timeline_ids(self, obj: Any) -> list[str]:
        """The things whose events belong on the timeline of ``obj``."""
        return [str(obj.pk)]

    def timeline_rows(self, obj: Any) -> QuerySet:
        """The audit rows on the timeline of ``obj``, newest first."""
        return timeline.reader().about(self.timeline_ids(obj))

    def story(self, obj: Any) -> Story:
        """The newest events of ``obj``, for its own page."""
        reader = timeline.reader()
        rows = self.timeline_rows(obj)[:STORY_LENGTH]
        url = reverse(
            f"admin:{self.opts.app_label}_{self.opts.model_name}_history",
            args=[quote(obj.pk)],
        )
        return Story(
            title="Audit timeline",
            entries=[reader.entry(row) for row in rows],
            more=display.link(url, "The whole history"),
        )

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        obj = self._seen(request, object_id)
        reader = timeline.reader()
        pages = Paginator(self.timeline_rows(obj), HISTORY_PAGE)
        page = pages.get_page(request.GET.get("p"))
        context = {
            **self.admin_site.each_context(request),
            "title": self.heading(obj),
            "subtitle": "history",
            "entries": [reader.entry(row) for row in page.object_list],
            "page": page,
            "object": obj,
            "opts": self.opts,
            "list_title": self.title,
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "console/history.html", context)

    # Pages.

    def listed(self, rows: QuerySet) -> QuerySet:
        """``rows`` with the relations that lists and headings show."""
        relations: Any = self.list_select_related or ()
        return rows.select_related(*relations)

    def heading(self, obj: Any) -> str:
        """What the page of ``obj`` is headed."""
        return str(obj)

    def panels(self, request: HttpRequest, obj: Any) -> Iterable[Panel]:
        """What the page of ``obj`` shows below its fields."""
        return ()

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        obj = kwargs.get("obj")
        if obj is not None:
            panels = list(self.panels(request, obj))
            if self.entity_type and not any(isinstance(one, Story) for one in panels):
                panels.append(self.story(obj))
            context["pictures"] = [one for one in panels if isinstance(one, Pictures)]
            context["panels"] = [
                one for one in panels if one not in context["pictures"]
            ]
            context["gestures"] = [
                (gesture, self.gesture_url(gesture, obj))
                for gesture in self.gestures
                if self.may_perform(request) and gesture.offered_for(obj)
            ]
        one = self.one or str(self.opts.verbose_name)
        if obj is None:
            context["title"] = f"Add {one}"
        else:
            context.update(title=self.heading(obj), subtitle=one)
        context.update(
            list_title=self.title,
            has_history=bool(self.entity_type),
            show_save_and_add_another=False,
            show_save_and_continue=False,
        )
        return super().render_change_form(request, context, *args, **kwargs)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = {"title": self.title}
        return super().changelist_view(request, {**title, **(extra_context or {})})

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ConsoleChangeList

    @property
    def title(self) -> str:
        plural = str(self.opts.verbose_name_plural)
        return self.label or plural[:1].upper() + plural[1:]

    # Gestures.

    def get_urls(self) -> list[URLPattern]:
        meta = f"{self.opts.app_label}_{self.opts.model_name}"
        one = self.admin_site.admin_view(self.gesture_view)
        many = self.admin_site.admin_view(self.bulk_gesture_view)
        return [
            path("gestures/<slug:name>/", many, name=f"{meta}_gestures"),
            path("<path:object_id>/gestures/<slug:name>/", one, name=f"{meta}_gesture"),
            *super().get_urls(),
        ]

    def gesture_url(self, gesture: Gesture, obj: Model | None) -> str:
        meta = f"admin:{self.opts.app_label}_{self.opts.model_name}"
        if obj is None:
            return reverse(f"{meta}_gestures", args=[gesture.name])
        return reverse(f"{meta}_gesture", args=[quote(obj.pk), gesture.name])

    def asked(self, gesture: Gesture, number: int) -> str:
        """The question at the head of a gesture's page."""
        if number == 1:
            return gesture.question
        return f"{gesture.button} {number} {self.title.lower()}?"

    def may_perform(self, request: HttpRequest) -> bool:
        """Whether the person may do anything to rows of this model."""
        return request.user.has_perm(
            f"{self.opts.app_label}.change_{self.opts.model_name}"
        )

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        if not self.may_perform(request):
            return {}
        bulk = [gesture for gesture in self.gestures if gesture.is_bulk]
        return {
            gesture.name: (_action(gesture), gesture.name, gesture.button)
            for gesture in bulk
        }

    def gesture_view(
        self, request: HttpRequest, object_id: str, name: str
    ) -> HttpResponse:
        gesture = self._gesture(request, name)
        row = self._seen(request, object_id)
        return confirming.answer(self, request, gesture, [row], bulk=False)

    def bulk_gesture_view(self, request: HttpRequest, name: str) -> HttpResponse:
        gesture = self._gesture(request, name)
        if not gesture.is_bulk:
            raise Http404
        ids = request.POST.getlist("id")[:BULK_LIMIT]
        chosen = self.get_queryset(request).filter(pk__in=ids)
        rows = list(self.listed(chosen).order_by("pk"))
        return confirming.answer(self, request, gesture, rows, bulk=True)

    def _gesture(self, request: HttpRequest, name: str) -> Gesture:
        if not self.may_perform(request):
            raise PermissionDenied
        for gesture in self.gestures:
            if gesture.name == name:
                return gesture
        raise Http404

    def _seen(self, request: HttpRequest, object_id: str) -> Model:
        obj: Model | None = self.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        return obj


def _action(gesture: Gesture) -> Callable[..., HttpResponse | None]:
    def chosen(
        model_admin: ConsoleAdmin, request: HttpRequest, rows: QuerySet
    ) -> HttpResponse | None:
        taken = list(model_admin.listed(rows).order_by("pk")[: BULK_LIMIT + 1])
        if len(taken) > BULK_LIMIT:
            messages.error(request, f"Choose at most {BULK_LIMIT} at a time.")
            return None
        return confirming.answer(model_admin, request, gesture, taken, bulk=True)

    chosen.__name__ = gesture.name
    return chosen
