"""The platform's own tables in the console."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from caracal_site import timetable
from caracal_site.console import columns, display, overview
from caracal_site.console.base import EvidenceAdmin
from caracal_site.console.overview import Figure
from caracal_site.models import JobRun, Receipt
from caracal_site.tasks import HEARTBEAT

# People are made by ``manage.py createsuperuser``; here they are only shown.
admin.site.unregister(Group)
admin.site.unregister(User)


@admin.register(User)
class UserAdmin(EvidenceAdmin):
    section, place = "Platform", 2
    label, one = "Console users", "console user"
    secret_fields = ("password",)
    list_display = (
        "username",
        "is_active",
        "is_staff",
        "is_superuser",
        columns.moment("last_login", "last sign-in"),
        columns.moment("date_joined", "joined"),
    )
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("username",)
    fields = (
        "username",
        "is_active",
        "is_staff",
        "is_superuser",
        columns.exact("last_login", "last sign-in"),
        columns.exact("date_joined", "joined"),
    )


@admin.register(JobRun)
class JobRunAdmin(EvidenceAdmin):
    """What runs by itself: whether it does, and what it met last."""

    section, place = "Platform", 3
    ordering = ("name",)
    list_display = (
        columns.mono("name", "job"),
        "health",
        "every",
        columns.moment("finished_at", "last run"),
        "took",
        "backlog",
        columns.moment("failed_at", "last failure"),
        "failures",
        "runs",
        "handled",
    )
    fields = (
        columns.mono("name", "job"),
        "health",
        "every",
        columns.exact("started_at"),
        columns.exact("finished_at"),
        "took",
        columns.exact("completed_at", "last came to its end"),
        columns.exact("expected_from", "expected since"),
        "runs",
        "failures",
        "handled",
        columns.as_json("counts", "counted besides"),
        "backlog",
        columns.exact("failed_at", "last failure"),
        columns.mono("failure", "what it met then"),
    )

    @admin.display(description="state")
    def health(self, obj: JobRun) -> SafeString:
        state = state_of(obj)
        return display.badge(state, JOB_TONES[state])

    @admin.display(description="every")
    def every(self, obj: JobRun) -> str | SafeString:
        period = timetable.periods().get(obj.name)
        return display.EMPTY if period is None else display.span(period)

    @admin.display(description="took")
    def took(self, obj: JobRun) -> str | SafeString:
        if obj.started_at is None or obj.finished_at is None:
            return display.EMPTY
        return f"{(obj.finished_at - obj.started_at).total_seconds():.3f} s"


JOB_TONES = {
    "stuck": "bad",
    "failing": "warn",
    "waiting": "calm",
    "fine": "good",
    "not scheduled": "quiet",
}


def state_of(job: JobRun) -> str:
    """One of ``JOB_TONES``; the rule of readiness for being stuck."""
    period = timetable.periods().get(job.name)
    if period is None:
        return "not scheduled"
    since = max(filter(None, (job.completed_at, job.expected_from)))
    if (timezone.now() - since).total_seconds() > timetable.stuck_after(period):
        return "stuck"
    if job.last_error:
        return "failing"
    return "fine" if job.completed_at else "waiting"


@admin.register(Receipt)
class ReceiptAdmin(EvidenceAdmin):
    """Which requests were answered once and for all; never what the answer was."""

    section, place = "Platform", 4
    secret_fields = ("body", "fingerprint")
    list_display = (
        columns.mono("key"),
        columns.mono("route"),
        columns.mono("caller"),
        "status",
        columns.moment("created_at"),
    )
    list_filter = ("status",)
    search_fields = ("=key", "caller__startswith")
    search_help_text = "A whole key, or the beginning of a caller."
    fields = (
        columns.mono("id", "ID"),
        columns.mono("key"),
        columns.mono("route"),
        columns.mono("caller"),
        "status",
        columns.exact("created_at"),
    )


@overview.figure(8, permission="caracal_site.view_jobrun")
def heartbeat() -> Figure:
    """The age of the worker's last heartbeat, and which jobs are in trouble."""
    url = reverse("admin:caracal_site_jobrun_changelist")
    runs = {run.name: run for run in JobRun.objects.all()}
    states = [state_of(run) for run in runs.values()]
    stuck, failing = states.count("stuck"), states.count("failing")
    told = [
        display.counted(stuck, "job is stuck", "jobs are stuck") if stuck else "",
        display.counted(failing, "job fails", "jobs fail") if failing else "",
    ]
    note = ", ".join(filter(None, told)) or "all jobs fine"
    last = runs.get(HEARTBEAT)
    if last is None or last.finished_at is None:
        return Figure("Worker", "never seen", note, url, "bad")
    age = (timezone.now() - last.finished_at).total_seconds()
    late = age > settings.WORKER_HEARTBEAT_MAX_AGE_SECONDS
    tone = "bad" if late or stuck else "warn" if failing else "good"
    return Figure("Worker heartbeat", f"{display.span(age)} ago", note, url, tone)
