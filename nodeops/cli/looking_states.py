"""What `nodeops states` shows."""

from nodeops.cli.desk import Desk
from nodeops.cli.output import Format
from nodeops.cli.showing import Shown, show
from nodeops.cli.states_task import Sources
from nodeops.errors import FindingsError
from nodeops.model.following import power_name
from nodeops.model.states import StatesFacts
from nodeops.report.figures import count
from nodeops.report.states_view import (
    MismatchLine,
    StatesReport,
    states_document,
    states_lines,
    states_markdown,
)
from nodeops.runbooks.contradictions import Mismatch, contradictions
from nodeops.runbooks.mend_states import StatesOptions


def show_states(
    desk: Desk, host: str | None, options: StatesOptions, output: Format, sources: Sources | None = None
) -> None:
    """Raises `FindingsError` when something does not fit."""
    before = desk.requests()
    facts = (sources or Sources()).gather(desk, host, options.older_than)
    found = contradictions(facts, older_than=options.older_than)
    report = _report(facts, found, options, desk.requests() - before)
    error = _error(report)
    shown = Shown(
        lambda: states_document(report, exit_code=error.exit_code if error else 0),
        lambda: states_markdown(report),
        lambda _width: states_lines(report),
    )
    show(desk, output, shown)
    if error:
        raise error


def _error(report: StatesReport) -> FindingsError | None:
    if not report.serious:
        return None
    fixable = sum(bool(each.fix) for each in report.lines)
    where = report.host or "HOST"
    hint = f"nodeops states {where} --fix --dry-run shows how {count(fixable, 'server')} would be mended."
    none = "None of them can be mended by the API alone: the lines above say what to do."
    return FindingsError(
        f"{report.where}: {count(report.serious, 'finding')} left", hint=hint if fixable else none
    )


def _report(
    facts: StatesFacts, found: tuple[Mismatch, ...], options: StatesOptions, calls: int
) -> StatesReport:
    hosts = {server.host for server in facts.servers if server.host} | ({facts.host} if facts.host else set())
    silent = [
        name
        for name in sorted(hosts)
        if name in facts.hosts and not facts.hosts[name].up and name not in facts.domains
    ]
    named = {each.id for each in found}
    return StatesReport(
        host=facts.host,
        servers=len(facts.servers),
        tasks=sum(server.task_state is not None and server.id not in named for server in facts.servers),
        hypervisors=sorted(facts.domains),
        silent=silent,
        lines=[_line(each, options) for each in found],
        unseen=facts.unseen,
        calls=calls,
        now=facts.now,
    )


def _line(found: Mismatch, options: StatesOptions) -> MismatchLine:
    server = found.server
    return MismatchLine(
        kind=found.kind.name,
        serious=found.kind.serious,
        id=found.id,
        name=found.name,
        host=found.host,
        vm_state=server.vm_state if server else "",
        task_state=server.task_state if server else None,
        power=power_name(found.power if found.power is not None else server.power_state if server else 0),
        by_hypervisor=found.by_hypervisor,
        words=found.words,
        cause=found.kind.cause,
        mend=found.kind.mend,
        fix=tuple(map(str, found.mends(nova_is_right=options.nova_is_right))),
        since=found.since,
    )
