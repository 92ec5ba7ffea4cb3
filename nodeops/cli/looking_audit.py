"""What `nodeops audit` shows."""

from collections.abc import Sequence

from nodeops.cli.audit_task import look
from nodeops.cli.desk import Desk
from nodeops.cli.output import Format
from nodeops.cli.showing import Shown, show
from nodeops.errors import ApiError, FindingsError, NodeopsError
from nodeops.model.leftovers import EVERYWHERE, AuditFacts
from nodeops.report.audit_view import AuditReport, LeftoverLine, audit_document, audit_lines, audit_markdown
from nodeops.report.figures import count
from nodeops.runbooks.audit import Leftover, leftovers
from nodeops.runbooks.leftovers import CLASSES


def show_audit(desk: Desk, scope: str, output: Format) -> None:
    """Raises `FindingsError` when something was found, `ApiError` when something could not be seen."""
    before = desk.requests()
    facts = look(desk, scope)
    report = _report(facts, leftovers(facts), desk.requests() - before)
    error = _error(report)
    shown = Shown(
        lambda: audit_document(report, exit_code=error.exit_code if error else 0),
        lambda: audit_markdown(report),
        lambda _width: audit_lines(report),
    )
    show(desk, output, shown)
    if error:
        raise error


def _error(report: AuditReport) -> NodeopsError | None:
    if report.serious:
        fixable = sum(each.fixed for each in report.lines)
        where = "" if report.scope == EVERYWHERE else f" {report.scope}"
        hint = f"nodeops audit{where} --fix --dry-run shows how {fixable} of them would be mended."
        none = "None of them can be mended by the API alone: the lines above say what to do."
        words = f"{report.where}: {count(report.serious, 'finding')} left"
        return FindingsError(words, hint=hint if fixable else none)
    if report.unseen:
        things = count(len(report.unseen), "thing")
        return ApiError(
            f"{report.where}: {things} could not be looked at: {report.unseen[0]}",
            hint="What cannot be seen is not called clean; look again when it answers.",
        )
    return None


def _report(facts: AuditFacts, found: Sequence[Leftover], calls: int) -> AuditReport:
    hosts = facts.hosts if facts.scope == EVERYWHERE else {facts.scope}
    return AuditReport(
        scope=facts.scope,
        where=facts.where,
        hosts=len(hosts),
        servers=sum(server.host in hosts for server in facts.servers.values()),
        databases=facts.records is not None,
        lines=[_line(each) for each in found],
        unseen=facts.unseen,
        without_databases=_hidden() if facts.records is None else (),
        calls=calls,
    )


def _hidden() -> tuple[str, ...]:
    return tuple(name for name, kind in CLASSES.items() if kind.needs_databases)


def _line(each: Leftover) -> LeftoverLine:
    return LeftoverLine(
        kind=each.kind.name,
        serious=each.kind.serious,
        id=each.id,
        name=each.name,
        host=each.host,
        words=each.words,
        cause=each.kind.cause,
        repair=each.repair or each.kind.repair,
        fixed=each.mending is not None,
    )
