"""``manage.py bench``: how it does as its data grows, and how fast it decides.

``decisions`` needs nothing. The others run beside a running ``up``, with the folder of
the load generator ``load.py`` on ``PYTHONPATH``. How the server is to be set up:
docs/performance.md.
"""

from __future__ import annotations

import time
from argparse import Namespace
from itertools import pairwise, product
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from caracal_site.embedded.directory import DataDirectory

CHOICES = ("agents", "audit", "dense", "decisions", "news", "verify")
LIFECYCLE = "caracal.agents.lifecycle"
WIDTH = 8
LOOKS = 20
TTL_SECONDS = 36_000
DECISIONS = 20_000
TOKENS = 2_000


class Command(BaseCommand):
    help = "Measures spawning among much data, dense graphs, decisions and tokens."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=CHOICES)
        parser.add_argument("--data-dir", default=settings.CARACAL_DATA_DIR)
        parser.add_argument(
            "--rows",
            type=int,
            help="default: 100,000 agents, 1,000,000 audit rows, 20,000 decisions or"
            " 2,000 tokens",
        )
        parser.add_argument("--layers", type=int, default=8, help="of a dense graph")
        parser.add_argument("-c", "--concurrency", type=int, default=16)
        parser.add_argument("-d", "--duration", type=float, default=10)
        parser.add_argument(
            "--rate",
            type=float,
            default=500,
            help="writes a second while news is timed",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self._options = options
        if options["what"] != "decisions":
            self._connect()
        getattr(self, options["what"])()

    def _connect(self) -> None:
        """Reaches the running platform by the load generator."""
        try:
            import load  # type: ignore[import-not-found]

            from caracal_site.testing.bench import Target
        except ImportError as error:
            raise CommandError(
                f"{error}: put the folder of load.py on PYTHONPATH."
            ) from error
        directory = DataDirectory.at(self._options["data_dir"])
        known = directory.read(directory.bootstrap_file)
        if not known:
            raise CommandError(f"Nothing has been started in {directory.path} yet.")
        self._load = load
        self._target = Target(
            Namespace(
                coordinator=known["coordinator_url"],
                api=known["api_url"],
                admin_token=known["admin_token"],
            )
        )

    def decisions(self) -> None:
        """The contract's worked examples, one after the other, by one thread."""
        from policies.tests import examples

        confined = {**examples.DATA, **examples.RISK, **examples.CONFINED}
        scopes = [examples.READ, examples.ISSUE]
        self._decide("bootstrap", examples.DATA, examples.bootstrap())
        self._decide("mint", examples.DATA, examples.mint())
        self._decide("mint with approval", confined, examples.mint(scopes))
        self._decide("use", examples.DATA, examples.use())
        self._decide("denied", examples.DATA, examples.mint(labels=["none"]))

    def _decide(self, what: str, data: Any, raw: Any) -> None:
        """Decides as token requests and simulations do, from the input as it comes."""
        from policies import inputs
        from policies.decision import ActiveSet, decide_input
        from policies.documents import Compiled

        rows = self._options["rows"] or DECISIONS
        asked = ActiveSet(
            policy_set_id="set",
            version_id="version",
            manifest_sha256="",
            compiled=Compiled(data),
        )
        found = decide_input(inputs.normalised(raw), asked)
        took = []
        started, began = time.process_time(), time.perf_counter()
        for _ in range(rows):
            each = time.perf_counter()
            decide_input(inputs.normalised(raw), asked)
            took.append(time.perf_counter() - each)
        clock, cpu = time.perf_counter() - began, time.process_time() - started
        took.sort()
        p50, p99 = (took[rows * share // 100] * 1e6 for share in (50, 99))
        self.stdout.write(
            f"{what}, {found.decision}: {rows / clock:,.0f}/s, "
            f"{cpu / rows * 1e6:.0f} us of CPU each, "
            f"p50 {p50:.0f} us, p99 {p99:.0f} us"
        )

    def verify(self) -> None:
        """Tokens of one zone, as the coordinator looks at a bearer: each for the first
        time, then again."""
        from caracal_site.testing.conformance import session_claims, sign_as_zone
        from tokens import bearer

        zone = self._target.new_zone()
        claims = session_claims(
            zone.zone,
            zone.application,
            zone.session,
            [settings.AGENT_COORDINATOR_SCOPE],
        )
        rows = self._options["rows"] or TOKENS
        tokens = [sign_as_zone(zone.zone, {**claims, "n": n}) for n in range(rows)]
        bearer.authenticate(zone.token)
        for what in ("first sight", "remembered"):
            started, began = time.process_time(), time.perf_counter()
            for token in tokens:
                bearer.authenticate(token)
            clock, cpu = time.perf_counter() - began, time.process_time() - started
            self.stdout.write(
                f"verify, {what}: {clock / rows * 1e3:.3f} ms,"
                f" {cpu / rows * 1e3:.3f} ms of CPU each"
            )

    def agents(self) -> None:
        """Spawning in an empty zone, then in one with many live agents."""
        for rows in (0, self._options["rows"] or 100_000):
            self._target.crowd = rows
            self._spawn(f"{rows:,} live agents in the zone")

    def audit(self) -> None:
        """Spawning before and after other zones have left much evidence."""
        rows = self._options["rows"] or 1_000_000
        self._spawn("no more audit rows")
        self._target.add_admin_audit(rows)
        self._spawn(f"{rows:,} more audit rows of other zones")

    def dense(self) -> None:
        """A graph in layers, every session of which delegates to all of the next."""
        zone, first, edges = self._layers(self._options["layers"])
        base = f"/zones/{zone.zone}/delegations/{first}"
        self.stdout.write(f"{edges} edges in {self._options['layers']} layers")
        self._look("traverse", "GET", f"{base}/traverse", zone, LOOKS)
        self._look("impact", "GET", f"{base}/impact", zone, LOOKS)
        self._look("revoke", "PATCH", f"{base}/revoke", zone, 1)

    def news(self) -> None:
        """How long news of spawns at a steady pace takes to its stream."""
        from caracal_site import stores
        from caracal_site.testing import pacing

        options, load = self._options, self._load
        zone, client = self._target.new_zone(), stores.redis_client()
        body = {"application_id": zone.application, "ttl_seconds": TTL_SECONDS}
        path = f"/zones/{zone.zone}/agents"
        request = self._target.creq("POST", path, zone.token, body)
        open_ = [
            load.Conn(self._target.coord_addr) for _ in range(options["concurrency"])
        ]
        for each in open_:
            each.sock.setblocking(True)
        self._target.quiesce()
        start = pacing.newest(client, LIFECYCLE)
        count = int(options["rate"] * options["duration"])
        kept = pacing.pace(open_, request, options["rate"], count)
        written = pacing.written(zone.zone, LIFECYCLE)
        found = pacing.arrivals(client, LIFECYCLE, start, zone.zone)
        once = sum(len(several) == 1 for several in found.values())
        took = [found[id_][0] - at for id_, at in written.items() if id_ in found]
        p50, p99 = (pacing.share(took, percent) for percent in (50, 99))
        http = pacing.share(kept.took, 99) * 1000
        self.stdout.write(
            f"{kept.rate:.0f} writes/s for {kept.seconds:.0f} s ({kept.statuses}, p99"
            f" {http:.0f} ms, {kept.late} sent late): {len(written):,} events written,"
            f" {once:,} once in the stream; p50 {p50:.0f} ms, p99 {p99:.0f} ms,"
            f" longest {max(took):.0f} ms"
        )

    def _spawn(self, among: str) -> None:
        options = self._options
        self._target.reset()
        ran = self._load.run(
            self._target, "spawn", options["concurrency"], options["duration"], 1
        )
        latency = ran["latency_ms"]
        self.stdout.write(
            f"spawn, {among}: {ran['units_per_s']}/s, p50 {latency['p50']} ms, "
            f"p99 {latency['p99']} ms, errors {ran['errors'] or 'none'}, "
            f"generator {ran['generator_cpu_share']} of a core"
        )

    def _look(self, what: str, method: str, path: str, zone: Any, times: int) -> None:
        request = self._target.creq(method, path, zone.token)
        took = []
        for _ in range(times):
            began = time.perf_counter()
            answer = self._load.one(self._target.coord_addr, request)
            took.append(time.perf_counter() - began)
        found = self._load.must(answer, 200)
        if "affected_edges" in found:
            found = found["affected_edges"]
        rows = f"{len(found)} rows" if isinstance(found, list) else str(found)
        median = sorted(took)[len(took) // 2]
        self.stdout.write(
            f"{what}: median {median:.4f} s, slowest {max(took):.4f} s, {rows}"
        )

    def _layers(self, layers: int) -> tuple[Any, str, int]:
        """The zone, its first edge, and how many edges there are.

        A session that several edges lead into has to name the one its own edges rest
        on: one that descends from the first, so that all of them do from layer 2 on.
        """
        zone = self._target.new_zone()
        resource = self._target.resource(zone)
        agents = self._target.agents(zone, 1 + layers * WIDTH)
        source, rest = agents[0], agents[1:]
        levels = [rest[i * WIDTH : (i + 1) * WIDTH] for i in range(layers)]
        made = self._edges(zone, resource, [(source, levels[0][0], None)], layers + 1)
        first = made[0]
        resting_on = {levels[0][0]: first}
        edges = 1
        for depth, (above, below) in enumerate(pairwise(levels)):
            triples = [(s, t, resting_on.get(s)) for s, t in product(above, below)]
            made = self._edges(zone, resource, triples, layers - depth)
            edges += len(made)
            # The first session of a layer is the one all others descend through.
            resting_on = dict(zip(below, made, strict=False))
        return zone, first, edges

    def _edges(
        self,
        zone: Any,
        resource: str,
        triples: list[tuple[str, str, str | None]],
        hops: int,
    ) -> list[str]:
        requests = []
        for source, target, parent in triples:
            body = self._load.delegation(
                zone, resource, source, target, hops, TTL_SECONDS + 60 * hops
            )
            body |= {"parent_edge_id": parent} if parent else {}
            path = f"/zones/{zone.zone}/delegations"
            requests.append(self._target.creq("POST", path, zone.token, body))
        answers = self._load.bulk(self._target.coord_addr, requests)
        return [self._load.must(a, 201)["delegation_edge_id"] for a in answers]
