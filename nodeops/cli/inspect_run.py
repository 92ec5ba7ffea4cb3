"""One look into a server's disk, from the question to the guest that runs again."""

import posixpath
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from nodeops.cli import ask, refusal
from nodeops.cli.desk import Desk
from nodeops.cli.host_run import refuse_busy
from nodeops.cli.inspect_lock import ServerLock
from nodeops.cli.inspect_show import (
    Copied,
    Result,
    new_file,
    parts_words,
    seen,
    sha256,
    show_plan,
    show_result,
)
from nodeops.cli.main import Signalled
from nodeops.cli.options import Manner
from nodeops.cli.perform import command_line
from nodeops.clients.disk_looker import HostDiskLooker
from nodeops.clients.on_host import OnHost
from nodeops.clients.server_states import ServerStates
from nodeops.clients.shell import Shell
from nodeops.engine.journal import Who
from nodeops.engine.record import RunRecord
from nodeops.errors import (
    SIGNAL_BASE,
    ApiError,
    DeclinedError,
    FailedError,
    HostTroubleError,
    NodeopsError,
    NotVerifiedError,
    OutcomeUnknownError,
    UsageError,
)
from nodeops.model.facts import Server
from nodeops.model.inspecting import BEAT_SECONDS, DiskLooker, Look, Wanted
from nodeops.outcome import Outcome, StepResult, StepState
from nodeops.plan import Plan, Step
from nodeops.runbooks.inspect import (
    CLOSE,
    OPEN,
    SUSPEND,
    InspectFacts,
    InspectOptions,
    chosen_disk,
    plan_inspect,
)
from nodeops.runbooks.options import cloud_key

PIECE = 4 * 1024 * 1024
ROOT_SIGNS = frozenset({"etc", "usr"})


@dataclass(frozen=True, slots=True)
class Task:
    """What is done with the open disk."""

    listed: str = ""
    copied: tuple[str, ...] = ()
    to: Path = Path()

    @property
    def is_shell(self) -> bool:
        return not self.listed and not self.copied


def host_looker(shell: Shell) -> DiskLooker:
    return HostDiskLooker(OnHost(shell))


def named_server(desk: Desk, word: str) -> Server:
    (found,) = ServerStates(desk.cloud()).named([word])
    return found.server


@dataclass
class Inspection:
    """The command; tests put their own looker and server."""

    desk: Desk
    manner: Manner
    looker: Callable[[Shell], DiskLooker] = host_looker
    server: Callable[[Desk, str], Server] = named_server

    def run(self, word: str, options: InspectOptions, task: Task) -> None:
        """Raises `NodeopsError` for every end but the good one."""
        server = self.server(self.desk, word)
        if server.host is None:
            raise UsageError(
                f"server {server.name} ({server.id}) is on no host", hint="It has no disk there."
            )
        if task.copied and not task.to.is_dir():
            raise UsageError(f"--to {task.to} is no directory", hint="Make it first.")
        key = cloud_key(self.desk.world().identity())
        if not self.manner.dry_run:
            refuse_busy(self.desk, key, server.host)
        with self.desk.shell(server.host) as shell:
            looker = self.looker(shell)
            place = self.desk.inventory().place(server.host)
            path = place.instances_path if place else "/var/lib/nova/instances"
            facts = InspectFacts(server, looker.guest(server.id, path), key)
            plan = plan_inspect(facts, options)
            show_plan(self.desk, plan, self.manner)
            if error := refusal.objection(plan, leave_refused=False):
                if self.manner.dry_run:
                    show_result(self.desk, Result(plan), self.manner, code=error.exit_code)
                raise error
            if self.manner.dry_run:
                show_result(self.desk, Result(plan), self.manner)
                return
            options = replace(options, consent=self._consent(server, options))
            plan = plan_inspect(facts, options)
            ask.confirm(plan, f"inspect {server.name}: open it now?", yes=self.manner.yes)
            wanted = _wanted(facts, options)
            _Sitting(self, shell, looker, plan, wanted).hold(task)

    @staticmethod
    def _consent(server: Server, options: InspectOptions) -> str:
        """The operator's words; raises `DeclinedError` without any, and `--yes` stands for none."""
        if options.consent.strip():
            return options.consent.strip()
        why = f"server {server.name} ({server.id}): nobody is known to have agreed"
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise DeclinedError(why, hint='Say who did, and how: --consent "Ann, ticket 4711".')
        said = ask.words(f"The files of {server.name} are its owner's. Who agreed, and how? ")
        if not said:
            raise DeclinedError(why)
        return said


def _wanted(facts: InspectFacts, options: InspectOptions) -> Wanted:
    disk = chosen_disk(facts.guest, options.disk)
    assert disk is not None  # noqa: S101 - the plan would have refused
    who = Who.here("", "")
    return Wanted(
        server_id=facts.server.id,
        guest=facts.guest,
        disk=disk,
        way=facts.guest.ways[0],
        seconds=options.seconds,
        who=f"{who.user}@{who.machine}",
        writable=options.write,
    )


@dataclass
class _Sitting:
    """The disk is open while `hold` runs, and the host hears of us."""

    inspection: Inspection
    shell: Shell
    looker: DiskLooker
    plan: Plan
    wanted: Wanted
    over: threading.Event = field(default_factory=threading.Event)
    ended_early: str = ""
    may_be_open: bool = False
    """From when it is asked for until all was taken down, and seen to be."""

    @property
    def desk(self) -> Desk:
        return self.inspection.desk

    def hold(self, task: Task) -> None:
        world = self.desk.world()
        record = self.desk.journal().begin(self.plan, Who.here(world.identity().user, command_line()))
        record.note("consent", str(self.plan.options["consent"]))
        result = Result(self.plan, record.id)
        began = self.desk.now()
        with ExitStack() as otherwise:
            otherwise.callback(record.leave, OutcomeUnknownError.exit_code, "ended in the middle")
            error: NodeopsError | None = None
            try:
                lock = ServerLock(self.desk, record, self.plan)
                with lock.held(lambda: self.may_be_open), self._open(record, result):
                    self._do(task, result)
            except OutcomeUnknownError:
                raise
            except NodeopsError as caught:
                error = caught
            except Signalled as signalled:
                if not self.may_be_open:
                    otherwise.pop_all()
                    self._finish(record, began, SIGNAL_BASE + signalled.number)
                raise
            otherwise.pop_all()
            code = error.exit_code if error else 0
            self._finish(record, began, code)
        show_result(self.desk, result, self.inspection.manner, code=code)
        if error:
            raise error

    def _finish(self, record: RunRecord, began: float, code: int) -> None:
        outcome = Outcome(record.id, self.plan, (), started=began, ended=self.desk.now())
        record.finish(outcome, code)

    @contextmanager
    def _open(self, record: RunRecord, result: Result) -> Iterator[None]:
        steps = {step.action: step for step in self.plan.steps}
        opening = [steps[name] for name in (SUSPEND, OPEN) if name in steps]
        for step in opening:
            record.sending(step, 1, self.desk.now())
        self.may_be_open = True
        try:
            result.look = self.looker.begin(self.wanted)
        except HostTroubleError as error:
            self.may_be_open = False
            for step in opening:
                self._ended(record, step, StepState.FAILED, error.message)
            raise FailedError(f"{error.message}; it was taken down again", hint=error.hint) from error
        except ApiError as error:
            self._close_unseen(record, opening, error)
            raise
        except Signalled as signalled:
            # In the middle: the host must not wait until it has heard nothing for long enough.
            with suppress(ApiError):
                self.looker.end(self.wanted.server_id)
                self.may_be_open = False
                for step in opening:
                    self._ended(record, step, StepState.FAILED, str(signalled))
            raise
        try:
            for step in opening:
                self._ended(record, step, StepState.DONE, "")
            for words in parts_words(result.look.parts):
                self.desk.err().print(f"  {words}", soft_wrap=True)
            with self._heard():
                yield
        finally:
            self._close(record, steps[CLOSE], result)
        if self.ended_early:
            raise NotVerifiedError(
                f"the look ended early: {self.ended_early}",
                hint="What was read may not belong together; look again.",
            )

    def _close_unseen(self, record: RunRecord, opening: list[Step], error: ApiError) -> None:
        """The answer was lost: say end once, and leave the rest to the host."""
        try:
            self.looker.end(self.wanted.server_id)
        except ApiError:
            for step in opening:
                self._ended(record, step, StepState.UNKNOWN, error.message)
            raise OutcomeUnknownError(error.message, hint=self._hint()) from error
        self.may_be_open = False
        for step in opening:
            self._ended(record, step, StepState.FAILED, error.message)

    def _close(self, record: RunRecord, step: Step, result: Result) -> None:
        """Raises `FailedError` with what is left, `OutcomeUnknownError` when the host cannot be asked."""
        record.sending(step, 1, self.desk.now())
        try:
            ended = self._end()
        except HostTroubleError as error:
            self._ended(record, step, StepState.FAILED, error.message)
            raise FailedError(error.message, hint=self._hint()) from error
        except ApiError as error:
            self._ended(record, step, StepState.UNKNOWN, error.message)
            words = f"{error.message}; the host takes it down by itself"
            raise OutcomeUnknownError(words, hint=self._hint()) from error
        self._ended(record, step, StepState.DONE, ended.reason)
        self.may_be_open = False
        before = self.wanted.guest.state
        after = ended.state_after or before
        if ended.reason not in {"", "asked"}:
            self.ended_early = ended.reason
        result.look = replace(result.look or ended, state_before=before, state_after=after)
        result.look = replace(result.look, suspended=ended.suspended)
        result.words = f"taken down; the guest was {before} and is {after}"
        if ended.suspended and after != "running" and not self.ended_early:
            self.ended_early = f"the guest was running and is {after}"

    def _end(self) -> Look:
        """Over a connection of its own when the first is broken."""
        stay = self._paused_in_nova()
        try:
            return self.looker.end(self.wanted.server_id, stay_paused=stay)
        except HostTroubleError:
            raise
        except ApiError:
            with self.desk.shell(self.plan.host) as other:
                return self.inspection.looker(other).end(self.wanted.server_id, stay_paused=stay)

    def _paused_in_nova(self) -> bool:
        """Somebody asked Nova to pause the server meanwhile: it must not be resumed then."""
        with suppress(ApiError):
            found = self.desk.world().server(self.wanted.server_id)
            return found is not None and found.vm_state == "paused"
        return False

    def _hint(self) -> str:
        return f"nodeops inspect --clean {self.plan.host} looks, and takes down what is left."

    def _ended(self, record: RunRecord, step: Step, state: StepState, words: str) -> None:
        record.ended(step, StepResult(step.id, step.subject_id, step.action, state, words, attempts=1))

    # -- while it is open

    @contextmanager
    def _heard(self) -> Iterator[None]:
        """From a thread with a connection of its own, so that no long answer keeps it silent."""
        stop = threading.Event()
        thread = threading.Thread(target=self._beat, args=(stop,), name="inspect-beat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(timeout=BEAT_SECONDS)

    def _beat(self, stop: threading.Event) -> None:
        shell = self.desk.shell(self.plan.host)
        looker = self.inspection.looker(shell)
        try:
            while not stop.wait(BEAT_SECONDS):
                try:
                    seen_now = looker.beat(self.wanted.server_id)
                except ApiError:
                    shell.close()
                    continue
                if not seen_now.ready and not stop.is_set():
                    self.ended_early = seen_now.reason or "the host ended it"
                    self.over.set()
                    return
        finally:
            shell.close()

    def _do(self, task: Task, result: Result) -> None:
        if task.is_shell:
            self._shell()
        elif task.listed:
            part, path = self._place(task.listed, result)
            result.listed = f"{part}:{path}"
            result.entries, result.more = self.looker.entries(self.wanted.server_id, part, path)
        for each in task.copied:
            part, path = self._place(each, result)
            result.copied.append(self._copy(part, path, new_file(task.to, path)))

    def _place(self, word: str, result: Result) -> tuple[str, str]:
        """`PART:PATH`, or a path in the part that looks like the guest's root."""
        mounted = [part.name for part in result.look.parts if part.mounted] if result.look else []
        part, colon, path = word.partition(":")
        if not colon or part not in mounted:
            part, path = self._root(mounted), word
        return part, posixpath.normpath("/" + path.lstrip("/"))

    def _root(self, mounted: list[str]) -> str:
        if not mounted:
            raise FailedError(
                "no file system was found that can be mounted", hint="The parts are listed above."
            )
        for part in mounted if len(mounted) > 1 else ():
            entries, _ = self.looker.entries(self.wanted.server_id, part, "/")
            if {entry.name for entry in entries} >= ROOT_SIGNS:
                return part
        return mounted[0]

    def _copy(self, part: str, path: str, file: Path) -> Copied:
        """Raises `FailedError`; half a file is never left."""
        server = self.wanted.server_id
        digest = self.looker.digest(server, part, path)
        with ExitStack() as half_done:
            try:
                with file.open("xb") as opened:
                    half_done.callback(file.unlink, missing_ok=True)
                    file.chmod(0o600)
                    for offset in range(0, digest.size, PIECE):
                        opened.write(self.looker.read(server, part, path, offset, PIECE))
            except FileExistsError:
                raise FailedError(f"{file} exists already", hint="Copy --to another directory.") from None
            except OSError as error:
                raise FailedError(f"{file}: {(error.strerror or str(error)).lower()}") from None
            if sha256(file) != digest.sha256:
                words = f"{seen(path)} came out differently than it is there"
                raise FailedError(words, hint="Copy it again.")
            half_done.pop_all()
        return Copied(f"{part}:{path}", file, digest.size, digest.sha256)

    def _shell(self) -> None:
        from nodeops.clients.terminal import attach

        root = self._root(
            [part.name for part in self.looker.beat(self.wanted.server_id).parts if part.mounted]
        )
        folder = {"server": self.wanted.server_id, "part": root, "prompt": str(self.plan.options["name"])}
        minutes = self.wanted.seconds / 60
        words = (
            f"the guest's files are here, those of the host everywhere else; exit ends it ({minutes:.0f} min)"
        )
        self.desk.err().print(words, soft_wrap=True)
        attach(self.shell, OnHost(self.shell).words("shell", folder), ended=self.over.is_set)
