"""The readiness gate from the desk: ask, judge, show."""

from collections.abc import Collection

from nodeops.cli.desk import Desk
from nodeops.cli.output import Format
from nodeops.cli.showing import Shown, show
from nodeops.engine.clock import SystemClock
from nodeops.engine.signals import Stop
from nodeops.errors import FindingsError, InterruptedRunError, TimedOutError
from nodeops.gather import find_host
from nodeops.gather.readiness import gather_readiness
from nodeops.model.machine import Before, MachineView
from nodeops.model.readiness import Check, passes
from nodeops.model.world import View
from nodeops.report.console import line
from nodeops.report.host_view import check_document, checks_markdown, checks_table
from nodeops.runbooks.maintain import RUNBOOK, before_in
from nodeops.runbooks.options import cloud_key
from nodeops.runbooks.readiness import judge_readiness, summary

PAUSE = 5.0


def assess(
    view: View, machine: MachineView, host: str, now: float, before: Before | None, accept: Collection[str]
) -> tuple[Check, ...]:
    """Ask everything anew, and judge."""
    return judge_readiness(gather_readiness(view, machine, host, now=now, before=before), accept)


def show_readiness(desk: Desk, host: str, output: Format, *, accept: Collection[str], seconds: float) -> None:
    """Raises `FindingsError` when it is not ready, `TimedOutError` when it has not become so in time."""
    view, machine = desk.world(), desk.machine()
    find_host(host, view.hosts())
    before = remembered(desk, host)
    with Stop().listening() as stop:
        clock = SystemClock(stop)
        begun = clock.now()
        while True:
            checks = assess(view, machine, host, clock.now(), before, accept)
            if passes(checks) or clock.now() - begun >= seconds or stop.asked:
                break
            desk.err().print(summary(host, checks), soft_wrap=True)
            clock.sleep(PAUSE)
        interrupted = stop.number
    words = summary(host, checks)
    document = {
        "host": host,
        "ready": passes(checks),
        "checks": [check_document(check) for check in checks],
    }
    shown = Shown(
        lambda: document,
        lambda: f"{words}\n\n{checks_markdown(checks)}",
        lambda _width: [checks_table(checks), "", *([line((words, "good"))] if passes(checks) else [])],
    )
    show(desk, output, shown)
    if passes(checks):
        return
    if interrupted is not None:
        raise InterruptedRunError(f"{host}: interrupted; it is not ready", signal_number=interrupted)
    kind = TimedOutError if seconds else FindingsError
    wrong = [check for check in checks if check.standing.holds_up]
    raise kind(words, hint=wrong[0].way_out)


def remembered(desk: Desk, host: str) -> Before | None:
    """What the newest maintenance of this host found there before it began; None when there was none."""
    journal = desk.journal()
    for run in journal.runs(cloud=cloud_key(desk.world().identity()), host=host):
        if run.runbook == RUNBOOK and (found := before_in(run.plan)) is not None:
            return found
    return None
