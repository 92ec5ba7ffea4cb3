"""One server's image from the first command to the last look.

It never waits: whoever holds it lets it move again and again. Whatever happens on the way, the command that
is owed to the application is started as soon as Nova is done with the disk, and at the latest at the end.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from nodeops.cli import snapshot_evidence as evidence
from nodeops.cli.site_command import Timed, start
from nodeops.cli.snapshot_journal import AFTER, BEFORE, IMAGE, PRUNE, Entry, Past
from nodeops.cli.snapshot_orders import Bench, Item, Orders, Stage, environment
from nodeops.errors import ApiError, HostBusyError, NodeopsError
from nodeops.model.facts import Server
from nodeops.model.snapshots import OF_RUN, OF_SERVER, UNDER_NAME, Consistency, Image
from nodeops.model.tracing import LogLine
from nodeops.outcome import StepState
from nodeops.plan import Verdict
from nodeops.report.figures import duration
from nodeops.runbooks.snapshot import (
    TASKS,
    DiskPhase,
    disk_budget,
    kept,
    telling,
    unimageable,
    upload_budget,
)

TELL_SECONDS = 30.0
"""Between two lines about an upload that goes on."""
GONE_LOOKS = 3
"""So often an image is looked for in vain, or found waiting with nobody at work, before that is believed."""
CREATING, ACTIVE = "creating", "active"
UNDER_WAY, LOST = frozenset({"saving", "importing"}), frozenset({"killed", "deleted", "pending_delete"})


@dataclass(slots=True)
class Job:
    """`move` takes it as far as it goes now."""

    item: Item
    orders: Orders
    bench: Bench
    server: Server
    """As it was last seen."""
    gone: bool = False
    stage: Stage = Stage.WAITING
    entry: Entry | None = None
    run_id: str = ""
    image_id: str = ""
    image: Image | None = None
    request_id: str = ""
    consistency: Consistency = Consistency.UNKNOWN
    verdict: Verdict = Verdict.LEFT
    reason: str = ""
    wrong: list[str] = field(default_factory=list)
    """What is not as it should be although there is an image."""
    notes: list[str] = field(default_factory=list)
    pruned: list[str] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=dict)
    """Moments: queued, before, asked, disk, after, image."""
    owed: str = ""
    """The command that has to be run yet."""
    before: Timed | None = None
    after: Timed | None = None
    early: bool = False
    """It was run while Nova still read the disk."""
    failed: bool = False
    """Something was sent or run, and no image came of it."""
    _call: "Future[Any] | None" = None
    _disk: DiskPhase = field(default_factory=DiskPhase)
    _misses: int = 0
    _waits_for: str = ""
    _told: str = ""
    _told_at: float = 0.0
    _stopping: bool = False
    _since: float = float("inf")
    """When the request was made at the earliest."""

    @property
    def ended(self) -> bool:
        return self.stage is Stage.ENDED

    @property
    def hurried(self) -> bool:
        """Somebody's application may be standing still."""
        return self.stage in {Stage.PAYING, Stage.BEFORE, Stage.ASKED, Stage.DISK, Stage.CLOSING}

    def seconds(self, begin: str, end: str) -> float | None:
        """Between two moments that were seen."""
        if begin not in self.times or end not in self.times:
            return None
        return max(self.times[end] - self.times[begin], 0.0)

    @property
    def affected(self) -> float | None:
        """Seconds from the first command to the end of the last, or those of the disk phase."""
        begin = "before" if "before" in self.times else "asked"
        return self.seconds(begin, "after" if "after" in self.times else "disk")

    def move(self, *, stopping: bool = False) -> None:
        """Raises only what ends the whole command: the journal is lost, or somebody took the run over."""
        moves: Mapping[Stage, Callable[[], None]] = {
            Stage.WAITING: self._wait,
            Stage.PAYING: self._pay,
            Stage.BEFORE: self._see_before,
            Stage.ASKED: self._see_answer,
            Stage.DISK: self._see_disk,
            Stage.UPLOAD: self._see_upload,
            Stage.CHECK: self._see_log,
            Stage.CLOSING: self._close,
        }
        self._stopping, stage = stopping, None
        while stage is not self.stage and not self.ended:
            stage = self.stage
            self._see_after()
            moves[stage]()

    # -- before anything is sent

    def _wait(self) -> None:
        now = self._now()
        self.times.setdefault("queued", now)
        if self.item.past is not None:
            self._take_up(self.item.past)
        elif self._stopping:
            self._end(Verdict.LEFT, "interrupted before it began")
        elif self.gone or (why := unimageable(self.server)):
            self._end(Verdict.LEFT, "it was deleted" if self.gone else why)
        elif self.server.task_state is not None:
            self._wait_turn(now)
        else:
            self._start()

    def _wait_turn(self, now: float) -> None:
        task = self.server.task_state or ""
        waited = now - self.times["queued"]
        if waited >= self.orders.wait_seconds:
            self._end(Verdict.LEFT, f"still in task {task} after {duration(waited)}")
        elif task != self._waits_for:
            self._waits_for = task
            self._say(f"waits: it is in task {task}")

    def _take_up(self, past: Past) -> None:
        """What an earlier run left goes first: an image that is being made, a command that is owed."""
        self.owed, self.request_id, self.early = past.owed, past.request_id, past.early
        self._since = past.began
        if not self._open(past):
            return
        self._say(f"goes on with run {past.run_id}")
        try:
            self.image_id = (
                evidence.made_by(self.bench.world, self.server.id, past.run_id) if past.asked else ""
            )
        except ApiError as error:
            self._run_after()
            self._end(Verdict.UNKNOWN, error.message)
            return
        self._begin_disk()
        self.stage = Stage.DISK if self.image_id else Stage.PAYING

    def _pay(self) -> None:
        """No image came of the earlier run: its --after, then from the beginning in a run of its own."""
        self._run_after()
        if self._after_runs:
            return
        self._see_after()
        words = f"run {self.run_id} left no image; what it owed was done"
        if self.wrong or self._stopping:
            self._fail(words)
            return
        self._finish(Verdict.LEFT, words)
        self.entry, self.after, self.request_id = None, None, ""
        self.times.pop("after", None)
        self.item = replace(self.item, past=None)
        self.stage = Stage.WAITING

    def _start(self) -> None:
        if not self._open(None):
            return
        if not self.orders.before:
            self._ask()
            return
        self.owed = self.orders.after
        self._entered.sending(BEFORE)
        self.times["before"] = self._now()
        self._say(f"--before: {self.orders.before}")
        self.before = self._command(self.orders.before)
        self.stage = Stage.BEFORE

    def _see_before(self) -> None:
        ran = self.before
        if ran is not None and self._stopping and not ran.poll(self._now()):
            ran.running.end()
        if ran is not None and not ran.poll(self._now()):
            return
        why = "could not be started" if ran is None else "" if ran.ok else ran.words
        seconds = ran.ended - ran.began if ran else 0.0
        self._entered.ended(BEFORE, StepState.FAILED if why else StepState.DONE, why, seconds)
        if not why and not self._stopping:
            self._ask()
            return
        self._run_after()
        self._fail(f"--before: {why}; no image was asked for" if why else "interrupted before an image")

    # -- the image

    def _ask(self) -> None:
        self.owed = self.orders.after
        self._entered.sending(IMAGE)
        self._begin_disk()
        properties = {OF_SERVER: self.server.id, UNDER_NAME: self.item.name, OF_RUN: self.run_id}
        create = self.bench.world.create_image
        self._call = self.bench.background.submit(create, self.server.id, self.item.name, properties)
        self._say(f"image {self.item.name} is asked for")
        self.stage = Stage.ASKED

    def _begin_disk(self) -> None:
        self.times["asked"] = self._now()
        self._since = min(self._since, self._now())
        self._disk = DiskPhase(at_once=self.orders.at_once)

    def _see_answer(self) -> None:
        """Also when it is to stop: the wire bounds the time, and who does not wait does not know."""
        if self._call is None or not self._call.done():
            return
        try:
            self.image_id, self.request_id = self._call.result()
        except NodeopsError as error:
            self._not_answered(error)
            return
        self._entered.answered(IMAGE, self.request_id)
        self.stage = Stage.DISK

    def _not_answered(self, error: NodeopsError) -> None:
        """Nova's 500 may be a refusal to go on without the agent, or an answer that got lost."""
        self.request_id = getattr(error, "request_id", None) or ""
        try:
            self.image_id = (
                evidence.made_by(self.bench.world, self.server.id, self.run_id)
                if getattr(error, "ambiguous", False)
                else ""
            )
        except ApiError:
            self._run_after()
            self._end(Verdict.UNKNOWN, error.message)
            return
        if self.image_id:
            self.stage = Stage.DISK
            return
        self._run_after()
        self._fail(error.message)

    def _see_disk(self) -> None:
        late = self._now() - self.times["asked"] > (self.orders.disk_seconds or disk_budget(self.server))
        try:
            sign = self._disk_sign()
        except ApiError as error:
            sign, self.reason = "", error.message
        if sign:
            self.times["disk"] = self._now()
            self._say(f"disk phase is over: {sign}")
            self._run_after()
            self.stage = Stage.UPLOAD
        elif self._stopping:
            self._stop_in_disk()
        elif late:
            self._give_up_disk()

    def _disk_sign(self) -> str:
        """By what Nova is seen to be done with the disk; empty while it is not."""
        self.image = self.bench.world.image(self.image_id)
        if not self.item.promise.volume_backed:
            task = None if self.gone else self.server.task_state
            return self._disk.sign if self._disk.see(task, self.image.status if self.image else None) else ""
        ids = self.image.volume_snapshots if self.image else ()
        states = self.bench.world.volume_snapshots(ids)
        return "" if any(each.status == CREATING for each in states) else "volume snapshots are taken"

    def _stop_in_disk(self) -> None:
        """The application goes first: an image that it writes into meanwhile is not worth keeping."""
        if not self.owed:
            self._end(Verdict.UNKNOWN, f"interrupted; nova goes on with image {self.image_id}")
            return
        self._run_after()
        try:
            self.bench.world.delete_image(self.image_id)
        except ApiError as error:
            self.early = True
            self._entered.ended(IMAGE, StepState.UNKNOWN, error.message)
            self._end(
                Verdict.UNKNOWN,
                f"interrupted; image {self.image_id} is crash-consistent only, and could not be deleted: "
                f"{error.message}",
            )
            return
        self._fail("interrupted while nova read the disk: --after was run, and the image deleted")

    def _give_up_disk(self) -> None:
        waited = duration(self._now() - self.times["asked"])
        self.early = bool(self.owed)
        self._run_after()
        words = f"nova is not done with the disk after {waited}: task {self.server.task_state or 'none'}"
        self._entered.ended(IMAGE, StepState.UNKNOWN, words)
        self._end(Verdict.UNKNOWN, f"{words}, image {self.image_id}")

    def _see_upload(self) -> None:
        now = self._now()
        try:
            self.image = self.bench.world.image(self.image_id)
        except ApiError as error:
            self.reason = error.message
        else:
            if self._complete() or self._vanished():
                self.times["image"] = now
                submit = self.bench.background.submit
                self._call = submit(evidence.log_of, self.bench, self.item, self.request_id, self._since)
                self.stage = Stage.CHECK
                return
        self._tell_upload(now)
        if self._after_runs:
            return
        if self._stopping:
            self._end(Verdict.UNKNOWN, f"interrupted; nova goes on with image {self.image_id}")
        elif now - self.times["disk"] > upload_budget(self.server):
            self._end(Verdict.UNKNOWN, f"image {self.image_id} is not complete after its time")

    def _tell_upload(self, now: float) -> None:
        """Glance tells no bytes of an upload: its state, and every now and then the time."""
        status = self.image.status if self.image else ""
        if status and (status != self._told or now - self._told_at >= TELL_SECONDS):
            self._told, self._told_at = status, now
            self._say(f"image is {status}, {duration(now - self.times['disk'])} since the disk phase")

    def _complete(self) -> bool:
        return self.image is not None and self.image.status == ACTIVE

    def _vanished(self) -> bool:
        """Whether no image comes any more: it is gone, or nobody works on it, for some looks on end."""
        status = self.image.status if self.image else ""
        if status in UNDER_WAY or (not self.gone and self.server.task_state in TASKS):
            self._misses = 0
            return False
        self._misses += 1
        return status in LOST or self._misses >= GONE_LOOKS

    # -- afterwards

    def _see_log(self) -> None:
        if self._call is None or not self._call.done():
            return
        log: Sequence[LogLine] | None
        log, silent = self._call.result()
        self.notes += silent
        if not self._complete():
            self._never_came(log)
            return
        self.consistency, why = kept(self.item.promise, log)
        if self.early:
            self.consistency, why = Consistency.CRASH, "--after was run while nova still read the disk"
        if why and self.consistency is Consistency.CRASH:
            self.wrong.append(f"image is crash-consistent only: {why}")
        elif why:
            self.notes.append(why)
        try:
            lost = evidence.lost_volumes(self.bench.world, self.image)
        except ApiError as error:
            lost = ""
            self.wrong.append(f"volume snapshots could not be looked at: {error.message}")
        if lost:
            self._fail(f"image {self.image_id} is of no use: {lost}")
            return
        seconds = self.seconds("asked", "image") or 0.0
        self._entered.ended(IMAGE, StepState.DONE, f"image {self.image_id}", seconds)
        self._prune()
        self._end(Verdict.DONE, "")

    def _never_came(self, log: Sequence[LogLine] | None) -> None:
        """The task ended as if all were well: only the log has a reason."""
        said = telling(log or ())
        host = self.item.server.host
        where = f"nova-compute's log on {host} has the reason, by {self.request_id or self.server.id}"
        why = f"log of nova-compute: {said}" if said else where
        self._fail(f"image {self.image_id} never appeared, nova gave it up in silence; {why}")

    def _prune(self) -> None:
        """What is too many; not when the new one is not as it should be."""
        if self.orders.keep is None or self.wrong:
            return
        self._entered.sending(PRUNE)
        try:
            for image in evidence.prune(self.bench.world, self.server.id, self.orders.keep):
                self.pruned.append(image.name)
                self._say(f"image {image.name} ({image.id}) deleted: --keep {self.orders.keep}")
        except ApiError as error:
            self.wrong.append(f"images that are too many are left: {error.message}")
        state = StepState.FAILED if self.wrong else StepState.DONE
        self._entered.ended(PRUNE, state, f"{len(self.pruned)} deleted")

    # -- the command that is owed

    def _run_after(self) -> None:
        """Start it, once."""
        if not self.owed or self.after is not None:
            return
        words = self.owed
        try:
            self._entered.sending(AFTER)
        finally:
            # Also when the journal cannot be written: the application has to run again.
            self.pay_now()
        self._say(f"--after: {words}")

    def pay_now(self) -> bool:
        """The last resort, without a look at anything. Returns whether there was something to start."""
        if not self.owed or self.after is not None:
            return False
        # It counts as owed until it was started: rather twice than never.
        self.after = self._command(self.owed)
        self.owed = ""
        if self.after is None:
            self.wrong.append("--after could not be started")
        return True

    def _command(self, words: str) -> Timed | None:
        """None when the system cannot start it."""
        around = environment(self.server, self.item.subject, self.item.name, self.image_id)
        try:
            return start(self.bench.commands, words, around, self.orders.command_seconds, self._now())
        except OSError as error:
            self.notes.append(f"{words}: {(error.strerror or str(error)).lower()}")
            return None

    @property
    def _after_runs(self) -> bool:
        return self.after is not None and not self.after.poll(self._now())

    def _see_after(self) -> None:
        ran = self.after
        if ran is None or "after" in self.times or not ran.poll(self._now()):
            return
        self.times["after"] = ran.ended
        state = StepState.DONE if ran.ok else StepState.FAILED
        self._entered.ended(AFTER, state, "" if ran.ok else ran.words, ran.ended - ran.began)
        if not ran.ok:
            self.wrong.append(f"--after: {ran.words}")

    # -- the end

    def _fail(self, words: str) -> None:
        self.failed = True
        self._end(Verdict.LEFT, words)

    def _end(self, verdict: Verdict, words: str) -> None:
        self.verdict, self.reason = verdict, words
        self.stage = Stage.CLOSING

    def _close(self) -> None:
        if self._after_runs:
            return
        self._see_after()
        self._finish(self.verdict, "; ".join(filter(None, [self.reason, *self.wrong])))
        self.stage = Stage.ENDED

    def _finish(self, verdict: Verdict, words: str) -> None:
        if self.entry is not None:
            seconds = self.seconds("asked", "image") or 0.0
            self.entry.finish(verdict, words, self.request_id, seconds, wrong=bool(self.wrong))

    # -- inside

    def _open(self, past: Past | None) -> bool:
        """Take the server's lock."""
        try:
            commands = (self.orders.before, self.orders.after)
            self.entry = self.bench.ledger.begin(
                self.server, self.item.name, commands, past, self.bench.clock
            )
        except HostBusyError as error:
            self.owed = ""
            self._end(Verdict.LEFT, error.message)
            return False
        self.run_id = self.entry.id
        return True

    @property
    def _entered(self) -> Entry:
        if self.entry is None:
            raise RuntimeError(f"server {self.server.id}: no run was begun")
        return self.entry

    def _now(self) -> float:
        return self.bench.clock.now()

    def _say(self, words: str) -> None:
        self.bench.say(self.server.name, words)
