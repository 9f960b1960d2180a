"""The story's HTTP client: every request has an id of its own and is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from caracal_site.demo.narration import ItDidNotHappen, Narrator
from caracal_site.ids import new_id

PAGE = 500


@dataclass(frozen=True, slots=True)
class Change:
    """A request that changed something, or was refused to: evidence must name it."""

    request_id: str
    line: str
    status: int


@dataclass(slots=True)
class Caller:
    """One deployment as one caller sees it: base URL and bearer token.

    ``changes`` are to be found in the admin audit trail, ``decisions`` (the token
    requests) in the zone's ledger.
    """

    narrator: Narrator
    http: httpx.Client
    url: str
    token: str = ""
    changes: list[Change] = field(default_factory=list)
    decisions: list[Change] = field(default_factory=list)

    def get(self, path: str, *, show: Sequence[str] = ()) -> Any:
        return self.send("GET", path, show=show)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        form: Mapping[str, str] | None = None,
        show: Sequence[str] = (),
        status: int | None = None,
    ) -> Any:
        """The JSON of the answer. Raises ItDidNotHappen for another ``status``, which
        without one is any success."""
        request_id = f"demo-{new_id()}"
        headers = {"X-Request-ID": request_id}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        response = self.http.request(
            method, self.url + path, json=body, data=form, headers=headers
        )
        answer = response.json() if response.content else None
        self._tell(f"{method} {path}", body or form, response.status_code, answer, show)
        if method != "GET":
            kept = self.changes if form is None else self.decisions
            kept.append(Change(request_id, f"{method} {path}", response.status_code))
        got = response.status_code
        if (status is None and not response.is_success) or status not in (None, got):
            found = answer.get("error") if isinstance(answer, dict) else answer
            raise ItDidNotHappen(f"{method} {path} answered {got} {found}")
        return answer

    def find(self, path: str, name: str) -> Any:
        """The item of that name in a list of the Management API, or None."""
        following: str | None = f"{path}?limit={PAGE}"
        headers = {"Authorization": f"Bearer {self.token}"}
        while following:
            response = self.http.get(self.url + following, headers=headers)
            if not response.is_success:
                raise ItDidNotHappen(f"GET {following} answered {response.text}")
            for item in response.json():
                if item["name"] == name:
                    self._tell(f"GET {path}", None, 200, item, ("id", "name"))
                    return item
            following = response.links.get("next", {}).get("url")
        return None

    def _tell(
        self, line: str, body: Any, status: int, answer: Any, show: Sequence[str]
    ) -> None:
        shown: dict[str, Any] = {}
        if isinstance(answer, dict):
            if "error" in answer:
                show = ("error", "error_description")
            shown = {name: answer[name] for name in show if name in answer}
        self.narrator.exchange(line, body, status, shown)
