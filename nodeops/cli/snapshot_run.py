"""What `nodeops snapshot` does: look, show, ask, make the images, tell."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from nodeops.cli import ask
from nodeops.cli.desk import Desk
from nodeops.cli.options import Manner
from nodeops.cli.output import Format, error_value
from nodeops.cli.showing import Shown, show
from nodeops.cli.site_command import Commands, SiteCommands
from nodeops.cli.snapshot_job import Job
from nodeops.cli.snapshot_journal import RUNBOOK, Ledger, plan_of
from nodeops.cli.snapshot_orders import Background, Bench, Item, Orders, Stage
from nodeops.engine.clock import Clock
from nodeops.engine.signals import Stop
from nodeops.errors import (
    PLAN_HAS_CHANGES,
    ApiError,
    FailedError,
    InterruptedRunError,
    NodeopsError,
    NotVerifiedError,
    OutcomeUnknownError,
    PartlyDoneError,
    RefusedError,
    TimedOutError,
)
from nodeops.gather import find_host
from nodeops.model.facts import Server
from nodeops.model.snapshots import AgentReading, GuestHosts, SnapshotWorld
from nodeops.model.tracing import Logs
from nodeops.model.tracking import Following
from nodeops.plan import Plan, Verdict
from nodeops.report import snapshot_view, watch_view
from nodeops.report.console import line
from nodeops.report.figures import count
from nodeops.report.snapshot_view import Made, Wanted
from nodeops.runbooks.snapshot import image_names, promise, unimageable

HURRY, LEISURE = 0.5, 2.0
"""Seconds between two looks, while an application may be standing still and while it is not."""
OVERLAP = 20.0
"""Seconds that a look reaches back: the clocks of the cloud's hosts differ."""
AT_ONCE = 8
"""So many agents are asked at the same time."""
MANY = 3


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for."""

    words: tuple[str, ...] = ()
    host: str | None = None
    template: str = "{server}-{date}-{time}"
    orders: Orders = field(default_factory=Orders)
    require_quiesce: bool = False
    leave_refused: bool = False
    parallel: int = 2


@dataclass(frozen=True, slots=True)
class Places:
    """Where it is done."""

    world: SnapshotWorld
    hosts: GuestHosts
    commands: Commands = field(default_factory=SiteCommands)
    logs: Logs | None = None
    controllers: tuple[str, ...] = ()
    """Hosts of the inventory that are no compute hosts."""


def snapshot(desk: Desk, wish: Wish, manner: Manner) -> int:
    """Make them, on the cloud that is configured; returns the exit code of what did not fail."""
    from nodeops.clients.guest_hosts import SshGuestHosts
    from nodeops.clients.snapshot_images import SnapshotImages

    computes = desk.cloud().hosts()
    if wish.host is not None:
        find_host(wish.host, computes)
    logs = desk.logs()
    others = set(logs.hosts() if logs else ()) - {host.name for host in computes}
    guests = SshGuestHosts(desk.inventory())
    places = Places(SnapshotImages(desk.cloud()), guests, logs=logs, controllers=tuple(sorted(others)))
    with Stop().listening() as stop, ThreadPoolExecutor(max(AT_ONCE, 2 * wish.parallel)) as pool:
        return Snapshots(desk, wish, manner, places, desk.clock(stop), stop, pool).run()


@dataclass
class Snapshots:
    """One command from beginning to end."""

    desk: Desk
    wish: Wish
    manner: Manner
    places: Places
    clock: Clock
    stop: Stop
    background: Background
    following: Following = field(default_factory=Following)
    _last: float = 0.0
    _blind: str = ""

    def run(self) -> int:
        """Raises `NodeopsError` for every end but images of all of them, when the result has been told."""
        items = self.plan()
        refused = [item for item in items if item.refusals]
        wanted = [_wanted(item) for item in items]
        todo = [item for item in items if not item.refusals]
        error = None if self.wish.leave_refused and todo else _refused(refused)
        self._show(wanted)
        if error is not None or self.manner.dry_run or not items:
            code = PLAN_HAS_CHANGES if self.manner.exit_code and todo and error is None else 0
            self._tell(wanted, [], error, code, dry_run=self.manner.dry_run)
            if error is not None:
                raise error
            return code
        ask.confirm(self._as_plan(todo), self._question(todo), yes=self.manner.yes)
        jobs = self._jobs(todo)
        self._work(jobs)
        made = [self._made(job) for job in jobs]
        error = self._ending(jobs) or _refused(refused, made=True)
        self._tell(wanted, made, error, 0)
        if error is not None:
            raise error
        return 0

    # -- beforehand

    def plan(self) -> list[Item]:
        """Reads only. Raises `UsageError`, `HostBusyError`, `ApiError`."""
        world = self.places.world
        self._last = world.now()
        seen = world.named(self.wish.words) if self.wish.host is None else world.on(self.wish.host)
        self.following.begin(seen, self.clock.now())
        servers = [each.server for each in seen]
        names = image_names(self.wish.template, servers, world.now())
        ledger = Ledger(self.desk)
        pasts = {server.id: ledger.past(server) for server in servers}
        agents = self._agents(servers)
        items = []
        for server in servers:
            subject, (agent, silent) = world.subject(server), agents[server.id]
            promised = promise(subject, agent, silent)
            past = pasts[server.id]
            found = Item(subject, names[server.id], promised, past=past)
            refusals = () if past is not None else self._refusals(found)
            items.append(Item(subject, found.name, promised, refusals, past))
        # Who was left with an application that stands still goes first.
        return sorted(items, key=lambda item: item.past is None)

    def _agents(self, servers: Sequence[Server]) -> dict[str, tuple[AgentReading | None, str]]:
        asked = {
            server.id: self.background.submit(self.places.hosts.agent, server.host, server.id)
            for server in servers
            if server.host and server.vm_state == "active"
        }
        found: dict[str, tuple[AgentReading | None, str]] = {}
        for server in servers:
            call = asked.get(server.id)
            try:
                reading = call.result() if call else None
            except NodeopsError as error:
                found[server.id] = None, error.message
            else:
                silent = "" if reading or call is None else f"{server.host} is not in the inventory"
                found[server.id] = reading, silent
        return found

    def _refusals(self, item: Item) -> tuple[str, ...]:
        why = unimageable(item.server)
        if why:
            return (why,)
        if self.wish.require_quiesce and not item.promise.consistency.consistent:
            return (f"--require-quiesce, and it is {item.promise.consistency}: {item.promise.reasons[-1]}",)
        return ()

    def _show(self, wanted: Sequence[Wanted]) -> None:
        console = self.desk.out() if self.manner.output is Format.TABLE else self.desk.err()
        if not wanted:
            console.print(line(f"{self.wish.host}: no server there"))
            return
        console.print(snapshot_view.wanted_table(wanted))
        orders = self.wish.orders
        for name, command in (("--before", orders.before), ("--after", orders.after)):
            if command:
                console.print(line((f"{name} ", "dim"), command), soft_wrap=True)
        if orders.before and not orders.after:
            console.print(line(("there is no --after: what --before stops stays stopped", "warn")))
        if orders.keep is not None:
            console.print(line(f"of each server the newest {orders.keep} images that nodeops made stay"))

    def _question(self, todo: Sequence[Item]) -> str:
        return f"Make {count(len(todo), 'image')}?"

    def _as_plan(self, todo: Sequence[Item]) -> Plan:
        plans = [
            plan_of(i.server, i.name, "", (self.wish.orders.before, self.wish.orders.after)) for i in todo
        ]
        steps = tuple(itertools.chain.from_iterable(plan.steps for plan in plans))
        subject = self.wish.host or ", ".join(item.server.name for item in todo[:MANY])
        return Plan(RUNBOOK, subject, "", {}, steps, ())

    # -- the work

    def _jobs(self, todo: Sequence[Item]) -> list[Job]:
        bench = Bench(
            self.places.world,
            self.places.hosts,
            self.places.commands,
            self.background,
            Ledger(self.desk),
            self.clock,
            self._say,
            self.places.logs,
            self.places.controllers,
        )
        return [Job(item, self.wish.orders, bench, item.server) for item in todo]

    def _work(self, jobs: Sequence[Job]) -> None:
        with self._owing_nothing(jobs):
            while not all(job.ended for job in jobs):
                self._look(jobs)
                for job in jobs:
                    if not job.ended and self._may_move(job, jobs):
                        job.move(stopping=self.stop.asked)
                if not all(job.ended for job in jobs):
                    self._rest(HURRY if any(job.hurried for job in jobs) else LEISURE)

    def _may_move(self, job: Job, jobs: Sequence[Job]) -> bool:
        """Whoever has begun, what an earlier run owes, and as many of the others as there are places."""
        if job.stage is not Stage.WAITING or job.item.past is not None or self.stop.asked:
            return True
        return sum(not each.ended and each.stage is not Stage.WAITING for each in jobs) < self.wish.parallel

    @contextmanager
    def _owing_nothing(self, jobs: Sequence[Job]) -> Iterator[None]:
        """However this ends: what was promised to an application is started."""
        try:
            yield
        finally:
            for job in [job for job in jobs if job.pay_now()]:
                self._say(job.server.name, "--after was started; how it ended is not looked at any more")

    def _rest(self, seconds: float) -> None:
        """A signal ends one sleep; those after it are needed all the same, or this were a busy loop."""
        clock = self.desk.clock(Stop()) if self.stop.asked else self.clock
        clock.sleep(seconds)

    def _look(self, jobs: Sequence[Job]) -> None:
        """One list call for all of them; without an answer things stay as they were seen."""
        asked = self.places.world.now()
        try:
            seen = self.places.world.changed(self._last - OVERLAP)
        except ApiError as error:
            if error.message != self._blind:
                self._blind = error.message
                self.desk.err().print(f"cannot look: {error.message}", soft_wrap=True)
            return
        self._last, self._blind = asked, ""
        for change in self.following.see(seen, self.clock.now()):
            self.desk.err().print(watch_view.change_line(change, self._width), soft_wrap=True)
        for job in jobs:
            track = self.following.tracks[job.item.server.id]
            job.server, job.gone = track.sighting.server, track.sighting.gone

    @property
    def _width(self) -> int:
        return max((len(track.sighting.server.name) for track in self.following.tracks.values()), default=0)

    def _say(self, name: str, words: str) -> None:
        told = watch_view.words_line(name, words, self.clock.now(), self._width)
        self.desk.err().print(told, soft_wrap=True)

    # -- afterwards

    def _made(self, job: Job) -> Made:
        track = self.following.tracks[job.item.server.id]
        totals = track.totals(self.clock.now())
        phases = {state: seconds for state, seconds in totals.items() if state.startswith("image_")}
        image = job.image if job.image_id else None
        results = {Verdict.DONE: "made", Verdict.UNKNOWN: "unknown"}
        result = results.get(job.verdict, "not made" if job.failed else "not begun")
        return Made(
            job.server.name,
            job.server.id,
            result,
            image.name if image else job.item.name,
            job.image_id,
            image.size if image else 0,
            image.volume_snapshots if image else (),
            job.consistency,
            job.affected,
            phases,
            tuple(
                filter(None, [job.reason if job.verdict is not Verdict.DONE else "", *job.wrong, *job.notes])
            ),
            tuple(job.pruned),
            job.run_id,
            job.request_id,
        )

    def _ending(self, jobs: Sequence[Job]) -> NodeopsError | None:
        made = [job for job in jobs if job.verdict is Verdict.DONE]
        tally = f"{len(made)} of {count(len(jobs), 'image')} made"
        again = "The same command again finishes what is under way."
        unknown = [job for job in jobs if job.verdict is Verdict.UNKNOWN]
        wrong = [job for job in jobs if job.wrong]
        left = [job for job in jobs if job.verdict is Verdict.LEFT]
        if self.stop.number is not None and len(made) < len(jobs):
            return InterruptedRunError(
                f"snapshot: interrupted, {tally}", signal_number=self.stop.number, hint=again
            )
        if unknown:
            return OutcomeUnknownError(f"snapshot: {tally}; {_first(unknown)}", hint=again)
        if left:
            return self._not_made(made, left, tally)
        if wrong:
            return NotVerifiedError(f"snapshot: {tally}; {_first(wrong)}")
        return None

    @staticmethod
    def _not_made(made: Sequence[Job], left: Sequence[Job], tally: str) -> NodeopsError:
        kind: Callable[..., NodeopsError] = PartlyDoneError if made else FailedError
        if not made and not any(job.failed for job in left):
            kind = TimedOutError
        return kind(f"snapshot: {tally}; {_first(left)}", hint="The same command again tries what is left.")

    def _tell(
        self,
        wanted: Sequence[Wanted],
        made: Sequence[Made],
        error: NodeopsError | None,
        code: int,
        *,
        dry_run: bool = False,
    ) -> None:
        from nodeops.cli.exit_codes import exit_code

        after = {each.server_id: snapshot_view.made_document(each) for each in made}
        document = {
            "command": RUNBOOK,
            "dry_run": dry_run,
            "exit_code": exit_code(error) if error else code,
            "servers": [
                {**snapshot_view.wanted_document(each), **after.get(each.server_id, {})} for each in wanted
            ],
            "error": error_value(error) if error else None,
        }
        shown = Shown(
            lambda: document,
            lambda: snapshot_view.made_markdown(made) if made else "",
            lambda _width: [snapshot_view.made_table(made)] if made else [],
        )
        show(self.desk, self.manner.output, shown)


def _wanted(item: Item) -> Wanted:
    left = ""
    if item.past is not None:
        left = f"run {item.past.run_id} did not end: " + (
            "its --after is run first" if item.past.owed else "its image is followed to the end"
        )
    server = item.server
    return Wanted(server.name, server.id, item.name, item.promise, item.refusals, server.task_state, left)


def _refused(items: Sequence[Item], *, made: bool = False) -> NodeopsError | None:
    if not items:
        return None
    words = f"snapshot: {count(len(items), 'server')} refused; {items[0].server.name}: {items[0].refusals[0]}"
    if made:
        return PartlyDoneError(words)
    return RefusedError(words, hint="--leave-refused makes images of the others.")


def _first(jobs: Sequence[Job]) -> str:
    job = jobs[0]
    return f"{job.server.name} ({job.server.id}): {job.reason or job.wrong[0]}"
