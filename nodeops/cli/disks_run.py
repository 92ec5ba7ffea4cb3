"""`nodeops disks HOST`: look at the host, at Nova, and where it matters at the other hosts; move aside."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from nodeops.cli import ask
from nodeops.cli.desk import Desk
from nodeops.cli.disks_show import show_disks
from nodeops.cli.host_run import HostRun, refuse_busy, running
from nodeops.cli.options import Manner
from nodeops.clients.instance_files import HostInstanceFiles
from nodeops.clients.on_host import OnHost
from nodeops.clients.shell import Shell, on_each
from nodeops.clients.state_records import NovaRecords
from nodeops.errors import ApiError, FailedError, FindingsError, NodeopsError, PartlyDoneError, SshError
from nodeops.gather import find_host
from nodeops.model.facts import Server, Storage
from nodeops.model.instance_files import InstanceFiles, Survey, Use
from nodeops.plan import Plan
from nodeops.report.figures import count, size
from nodeops.runbooks.disks import SERVER, DisksFacts, DisksOptions, Item, plan_clean
from nodeops.runbooks.options import cloud_key

INSTANCES = "/var/lib/nova/instances"
MIB = 2**20


def host_files(shell: Shell) -> InstanceFiles:
    return HostInstanceFiles(OnHost(shell))


def deleted_server(desk: Desk, server_id: str) -> Server | None:
    return NovaRecords(desk.cloud()).server(server_id)


@dataclass
class Disks:
    """The command; tests put their own host."""

    desk: Desk
    manner: Manner
    files: Callable[[Shell], InstanceFiles] = host_files
    gone: Callable[[Desk, str], Server | None] = deleted_server

    def run(self, host: str, options: DisksOptions) -> None:
        """Raises `FindingsError`, and what a run may end in."""
        world = self.desk.world()
        find_host(host, world.hosts())
        key = cloud_key(world.identity())
        with self.desk.shell(host) as shell:
            files = self.files(shell)
            facts = self.gather(host, key, files)
            plan, items = plan_clean(facts, options)
            moved: dict[str, str] = {}
            if not plan.steps or self.manner.dry_run:
                error = None if options.clean else _objection(host, items)
                code = error.exit_code if error else 0
                show_disks(self.desk, plan, items, self.manner, code=code, run="", moved=moved)
                if options.clean:
                    self._say(f"{host}: {_would(plan, items)}")
                if error:
                    raise error
                return
            refuse_busy(self.desk, key, host)
            self._ask(plan, items)
            run_id, failed = self._clean(plan, items, files, facts.survey.use.path, moved)
        self._conclude(plan, items, run_id, failed, moved)

    def gather(self, host: str, key: str, files: InstanceFiles) -> DisksFacts:
        world, inventory = self.desk.world(), self.desk.inventory()
        place = inventory.place(host)
        survey = files.survey(place.instances_path if place else INSTANCES)
        servers = {server.id: server for server in world.servers()}
        unlisted = self._unlisted(survey, servers)
        deleted = frozenset(key for key, server in unlisted.items() if server.vm_state == "deleted")
        # Those that their owner can still restore are not in Nova's list of servers either.
        servers |= {key: server for key, server in unlisted.items() if key not in deleted}
        migrating = frozenset(
            each.server_id
            for each in world.unfinished_migrations()
            if each.status not in {"done", "completed"}
        )
        return DisksFacts(
            host=host,
            cloud=key,
            survey=survey,
            storage=place.storage if place else Storage.UNKNOWN,
            servers=servers,
            deleted=deleted,
            migrating=migrating,
            others=self._others(host),
        )

    def _unlisted(self, survey: Survey, servers: Mapping[str, Server]) -> dict[str, Server]:
        names = (SERVER.fullmatch(entry.name) for entry in survey.entries)
        unknown = sorted({match[1] for match in names if match and match[1] not in servers})
        asked = {each: self.gone(self.desk, each) for each in unknown}
        return {each: server for each, server in asked.items() if server is not None}

    def _others(self, host: str) -> Mapping[str, Use | str]:
        """Every other compute host, all at once; who does not answer may be using the path."""
        inventory = self.desk.inventory()

        def look(name: str) -> Use | str:
            place = inventory.place(name)
            if place is None:
                return "it is not in the inventory"
            try:
                with self.desk.shell(name) as shell:
                    return self.files(shell).use(place.instances_path)
            except ApiError as error:
                return error.message.removeprefix(f"{name}: ")

        names = [each.name for each in self.desk.world().hosts() if each.name != host]
        asked = on_each(names, look)
        return {
            name: str(answer) if isinstance(answer, SshError) else answer for name, answer in asked.items()
        }

    def _ask(self, plan: Plan, items: Sequence[Item]) -> None:
        for item in items:
            if item.movable:
                self._say(f"  {item.kind.name}  {item.name}  {size(item.space / MIB)}  {item.words}")
        words = f"disks {plan.host}: {_would(plan, items)} to a quarantine?"
        ask.confirm(plan, words, yes=self.manner.yes)

    def _clean(
        self, plan: Plan, items: Sequence[Item], files: InstanceFiles, path: str, moved: dict[str, str]
    ) -> tuple[str, list[str]]:
        by_name = {item.name: item for item in items if item.entry is not None}
        stamp = datetime.fromtimestamp(self.desk.now(), UTC).strftime("%Y%m%dT%H%M%SZ")
        with running(self.desk, plan, _exit_code) as run:
            into = f"{stamp}-{run.record.id}"
            for step in plan.steps:
                item = by_name[step.subject_id]
                assert item.entry is not None  # noqa: S101 - chosen above
                entry, kind = item.entry, item.kind.name

                def move(entry: object = entry, kind: str = kind, why: str = step.why) -> str:
                    return files.quarantine(path, entry, into, kind=kind, why=why, run=run.record.id)  # type: ignore[arg-type]

                if where := run.make(step, move):
                    moved[item.name] = where
        return run.record.id, run.failed

    def _conclude(
        self, plan: Plan, items: Sequence[Item], run_id: str, failed: Sequence[str], moved: dict[str, str]
    ) -> None:
        error: NodeopsError | None = None
        if failed:
            kind = PartlyDoneError if moved else FailedError
            words = (
                f"{plan.host}: {count(len(moved), 'entry', 'entries')} moved, {len(failed)} not: {failed[0]}"
            )
            error = kind(words, hint="What was not moved is where it was; look again.")
        code = error.exit_code if error else 0
        show_disks(self.desk, plan, items, self.manner, code=code, run=run_id, moved=moved)
        if error:
            raise error
        where = next(iter(moved.values())).rsplit("/", 1)[0]
        self._say(
            f"{plan.host}: {count(len(moved), 'entry', 'entries')} moved to {where}; nothing was deleted"
        )

    def _say(self, words: str) -> None:
        self.desk.err().print(words, soft_wrap=True)


def _exit_code(run: HostRun) -> int:
    return FailedError.exit_code if run.failed else 0


def _would(plan: Plan, items: Sequence[Item]) -> str:
    space = sum(item.space for item in items if item.movable)
    kept = sum(item.kind.cleaned and bool(item.kept) for item in items)
    left = f", keep {kept} that are not safe to move" if kept else ""
    return f"move {count(len(plan.steps), 'entry', 'entries')} ({size(space / MIB)}){left}"


def _objection(host: str, items: Sequence[Item]) -> FindingsError | None:
    serious = [item for item in items if item.kind.serious]
    if not serious:
        return None
    first = serious[0]
    more = f" and {len(serious) - 1} more" if len(serious) > 1 else ""
    return FindingsError(
        f"{host}: {first.kind.name} {first.name}{more}", hint="runbooks/look-into-a-disk.md says what to do."
    )
