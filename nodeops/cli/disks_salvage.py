"""`nodeops disks HOST --salvage TARGET`: a dead host's directories are copied away, with checksums.

Each file is copied piece by piece beside its name, and gets its name when both sides have the same SHA-256;
so a run that was killed, or whose connection broke, is gone on with by the same command.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import NamedTuple

from nodeops.cli import ask
from nodeops.cli.desk import Desk
from nodeops.cli.disks_run import INSTANCES, MIB, host_files
from nodeops.cli.host_run import HostRun, refuse_busy, running
from nodeops.cli.options import Manner
from nodeops.cli.showing import Shown, show
from nodeops.clients.shell import Shell
from nodeops.errors import FailedError, HostTroubleError, PartlyDoneError, RefusedError, UsageError
from nodeops.gather import find_host
from nodeops.model.instance_files import InstanceFiles, SalvageFile, SalvageList, Survey
from nodeops.plan import Plan, Risk, Step
from nodeops.report.figures import count, size
from nodeops.runbooks.disks import SERVER
from nodeops.runbooks.options import cloud_key

PIECE = 4 * 1024 * 1024
SPARE = 1.02
RUNBOOK, COPY = "salvage", "salvage"


class Where(NamedTuple):
    host: str
    path: str


def where(word: str, default_host: str) -> Where:
    """`[HOST:]/DIRECTORY`; raises `UsageError`."""
    host, colon, path = word.partition(":")
    found = Where(host, path) if colon else Where(default_host, word)
    if not found.path.startswith("/") or not found.host:
        raise UsageError(f"{word!r} names no directory", hint="Write c02:/srv/saved, or /srv/saved.")
    return found


@dataclass
class Salvage:
    """The command; tests put their own hosts."""

    desk: Desk
    manner: Manner
    files: Callable[[Shell], InstanceFiles] = host_files

    def run(self, host: str, target_word: str, source_word: str, *, everything: bool) -> None:
        """Raises `RefusedError`, `FailedError` or `PartlyDoneError`."""
        world = self.desk.world()
        find_host(host, world.hosts())
        place = self.desk.inventory().place(host)
        source = where(source_word or (place.instances_path if place else INSTANCES), host)
        target = where(target_word, source.host)
        if target == source or (target.host == source.host and target.path.startswith(source.path + "/")):
            raise UsageError("the target is the source", hint="Copy to another directory or host.")
        key = cloud_key(world.identity())
        with ExitStack() as stack:
            near = self.files(stack.enter_context(self.desk.shell(source.host)))
            same = target.host == source.host
            far = near if same else self.files(stack.enter_context(self.desk.shell(target.host)))
            servers = {server.id for server in world.servers_on(host)}
            names = wanted(near.survey(source.path), servers, everything=everything)
            listed = near.salvage_list(source.path, names)
            plan = _plan(host, key, source, target, listed)
            self._check(plan, listed, far.free(target.path))
            self._show(plan, listed)
            if self.manner.dry_run or not plan.steps:
                self._tell(plan, listed, "", [], "nothing was changed")
                return
            refuse_busy(self.desk, key, host)
            ask.confirm(plan, f"salvage {host}: copy it?", yes=self.manner.yes)
            copier = Copier(near, far, source.path, target.path, same=same)
            with running(self.desk, plan, _exit_code) as run:
                for step in plan.steps:
                    run.make(step, lambda step=step: self._copy(copier, step, listed))  # type: ignore[misc]
        self._conclude(plan, listed, run, copier)

    def _check(self, plan: Plan, listed: SalvageList, free: int) -> None:
        used = sorted({_top(file) for file in listed.files} & (listed.open | listed.running))
        if used:
            raise RefusedError(
                f"{plan.host}: {', '.join(used[:3])} in use there: a guest runs, or a process has it open",
                hint="Salvage is for hosts whose guests are off; a copy of a disk in use is no copy.",
            )
        space = sum(file.space for file in listed.files)
        if space * SPARE > free and not self.manner.dry_run:
            words = f"it takes {size(space / MIB)}, and {size(free / MIB)} are free there"
            self.desk.err().print(f"warning: {words}; what is there already counts less", soft_wrap=True)

    def _copy(self, copier: "Copier", step: Step, listed: SalvageList) -> str:
        for file in listed.files:
            if _top(file) == step.subject_id:
                self.desk.err().print(f"  {file.name}  {size(file.size / MIB)}", soft_wrap=True)
                copier.copy(file)
        return step.subject_id

    def _show(self, plan: Plan, listed: SalvageList) -> None:
        console = self.desk.err()
        space = sum(file.space for file in listed.files)
        console.print(
            f"salvage {plan.host}: {count(len(plan.steps), 'entry', 'entries')}, "
            f"{count(len(listed.files), 'file')}, {size(space / MIB)}, "
            f"from {plan.options['source']} to {plan.options['target']}",
            soft_wrap=True,
        )

    def _conclude(self, plan: Plan, listed: SalvageList, run: HostRun, copier: "Copier") -> None:
        done = f"{copier.copied} copied and checked, {copier.there} were there"
        self._tell(plan, listed, run.record.id, run.failed, done)
        if run.failed:
            kind = PartlyDoneError if copier.copied else FailedError
            raise kind(f"{plan.host}: {done}; {run.failed[0]}", hint="The same command again goes on.")

    def _tell(self, plan: Plan, listed: SalvageList, run: str, failed: Sequence[str], words: str) -> None:
        document = {
            "command": "disks-salvage",
            "host": plan.host,
            "run": run,
            "dry_run": self.manner.dry_run,
            "exit_code": FailedError.exit_code if failed else 0,
            "source": plan.options["source"],
            "target": plan.options["target"],
            "entries": [step.subject_id for step in plan.steps],
            "files": [{"name": each.name, "size": each.size} for each in listed.files],
            "failed": list(failed),
            "words": words,
            "error": None,
        }
        told = f"salvage {plan.host}: {words}"
        show(
            self.desk, self.manner.output, Shown(lambda: document, lambda: f"{told}\n", lambda _width: [told])
        )


@dataclass
class Copier:
    """Files from one directory to another, on one machine or through this one."""

    near: InstanceFiles
    far: InstanceFiles
    source: str
    target: str
    same: bool
    copied: int = 0
    there: int = 0

    def copy(self, file: SalvageFile) -> None:
        """Raises `HostTroubleError` when the target has another file of this name, or the copy differs."""
        state = self.far.copy_state(self.target, file.name)
        if state.exists:
            if state.size != file.size or self.near.sum_of(self.source, file.name) != (
                state.sha256 or self.far.sum_of(self.target, file.name)
            ):
                raise HostTroubleError(f"{file.name} is there already, and is another file")
            self.there += 1
            return
        if self.same:
            done = -1
            while done < file.size:
                done = self.near.copy_here(self.source, self.target, file.name)
        else:
            self._through_here(file, state.part // PIECE * PIECE)
        self.far.finish(self.target, file, self.near.sum_of(self.source, file.name))
        self.copied += 1

    def _through_here(self, file: SalvageFile, begin: int) -> None:
        for offset in range(begin, max(file.size, 1), PIECE):
            length = min(PIECE, file.size - offset)
            piece = self.near.take(self.source, file.name, offset) if length else b""
            self.far.put(self.target, file.name, offset, piece, length)


def wanted(survey: Survey, servers: set[str], *, everything: bool) -> tuple[str, ...]:
    """Directories of the host's servers, and the base files they are built on: first, so that disks work."""
    chosen = []
    for entry in survey.entries:
        match = SERVER.fullmatch(entry.name)
        if match and entry.is_directory and (everything or match[1] in servers):
            chosen.append(entry.name)
    bases = {entry.name for entry in survey.bases}
    needed = set()
    for image in survey.images:
        if image.file.split("/", 1)[0] in chosen:
            named = {f"_base/{file.rsplit('/', 1)[-1]}" for file in (*image.chain, image.missing) if file}
            # Without its format the chain is not known, and any base file may be in it.
            needed |= (named & bases) if image.format and not image.missing else bases
    return (*sorted(bases if everything else needed), *chosen)


def _top(file: SalvageFile) -> str:
    parts = file.name.split("/")
    return "/".join(parts[:2]) if parts[0] == "_base" else parts[0]


def _plan(host: str, key: str, source: Where, target: Where, listed: SalvageList) -> Plan:
    tops = dict.fromkeys(_top(file) for file in listed.files)
    steps = tuple(
        Step(f"{COPY}:{top}", COPY, top, top, f"copy {top}", Risk.SAFE, expected_seconds=0.0) for top in tops
    )
    said = {"source": f"{source.host}:{source.path}", "target": f"{target.host}:{target.path}"}
    return Plan(RUNBOOK, host, key, dict(said), steps, ())


def _exit_code(run: HostRun) -> int:
    return FailedError.exit_code if run.failed else 0
