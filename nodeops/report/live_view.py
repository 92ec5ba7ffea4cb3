"""A run while it goes on: a live picture on a terminal, plain lines anywhere else."""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nodeops.events import Event, Noted, Retried, RunStarted, StepEnded, StepSent, Ticked
from nodeops.outcome import StepState
from nodeops.plan import Plan
from nodeops.report import figures
from nodeops.report.console import NARROW, line
from nodeops.report.plan_view import plain_table
from nodeops.report.watch import MEBI, Phase, Row, Watch

PER_SECOND = 2
BAR, SHORT_BAR = 16, 10
AROUND = 12
"""Lines of the picture that are no servers."""
NOTES = 2
TROUBLES = 3
MARK = {
    Phase.WAITING: ("·", "dim"),
    Phase.MOVING: ("▸", "head"),
    Phase.ENDED: ("✓", "good"),
    Phase.FAILED: ("✗", "bad"),
}
ORDER = (Phase.MOVING, Phase.FAILED, Phase.ENDED, Phase.WAITING)
"""Which rows are kept when the terminal is too low for all."""


class LiveView:
    """A context manager and a listener; `clock` gives seconds since the epoch."""

    def __init__(self, plan: Plan, console: Console, clock: Callable[[], float]) -> None:
        self.watch = Watch(plan)
        self._clock = clock
        self._live = Live(
            console=console,
            get_renderable=self._picture,
            refresh_per_second=PER_SECOND,
            transient=True,
            redirect_stdout=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        self.watch(event)

    def _picture(self) -> RenderableType:
        return Picture(self.watch, max(self._clock(), self.watch.now))


class Picture:
    """One moment of a run."""

    def __init__(self, watch: Watch, now: float) -> None:
        self.watch = watch
        self.now = now

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        watch = self.watch
        elapsed = figures.duration(self.now - watch.began) if watch.began else ""
        yield line(
            (f"{watch.plan.runbook} {watch.plan.host}", "head"), (f"   run {watch.run_id}   {elapsed}", "dim")
        )
        yield Text()
        rows, hidden = _shown(list(watch.rows.values()), console.size.height - AROUND)
        yield _table(rows, self.now, wide=options.max_width >= NARROW)
        if hidden:
            yield line((f"  and {hidden} more", "dim"))
        yield from _troubles(list(watch.rows.values()))
        yield Text()
        yield _totals(watch)
        if watch.waits_for:
            yield line(("  waits for ", "dim"), watch.waits_for)
        for note in watch.notes[-NOTES:]:
            yield line(("! " if note.warning else "  ", "warn"), (note.words, "" if note.warning else "dim"))


def _troubles(rows: list[Row]) -> Iterator[Text]:
    """Why servers failed, or wait to be tried again, a line each."""
    troubled = [row for row in rows if row.words and row.phase in {Phase.FAILED, Phase.WAITING}]
    for row in sorted(troubled, key=lambda row: row.since)[-TROUBLES:]:
        style = "bad" if row.phase is Phase.FAILED else "warn"
        trouble = line((f"  {row.name}: ", style), (row.words, "dim"))
        trouble.no_wrap, trouble.overflow = True, "ellipsis"
        yield trouble


def _shown(rows: list[Row], room: int) -> tuple[list[Row], int]:
    """The rows that fit, those that move first in line to stay; in the order of the plan."""
    if len(rows) <= room:
        return rows, 0
    ranked = sorted(range(len(rows)), key=lambda at: (ORDER.index(rows[at].phase), -rows[at].since, at))
    keep = sorted(ranked[: max(room - 1, 1)])
    return [rows[at] for at in keep], len(rows) - len(keep)


def _table(rows: list[Row], now: float, *, wide: bool) -> Table:
    table = plain_table("", "server", "", "", "", "")
    table.show_header = False
    table.columns[0].width = 1
    table.columns[1].max_width = 32 if wide else 18
    for row in rows:
        mark, style = MARK[row.phase]
        dim = "dim" if row.phase is Phase.WAITING else ""
        table.add_row(
            Text(mark, style),
            Text(row.name, dim),
            line((row.action, dim), (f" → {row.target}" if row.target else "", dim or "host")),
            _bar(row, now, BAR if wide else SHORT_BAR),
            Text(_figures(row, wide=wide), "dim"),
            Text(_time(row, now), dim),
        )
    return table


def _bar(row: Row, now: float, width: int) -> Text:
    if row.phase is not Phase.MOVING:
        return Text()
    if row.total:
        percent, sure = figures.share(row.copied, row.total), True
    else:
        percent, sure = min(figures.share(now - row.since, row.expected), 99), False
    style = "good" if sure else "dim"
    return line((figures.bar(percent, width), style), f" {percent:3} %" if sure else "      ")


def _figures(row: Row, *, wide: bool) -> str:
    if row.phase is Phase.FAILED:
        return "failed"
    if row.phase is not Phase.MOVING:
        return ""
    tries = f"try {row.attempt}  " if row.attempt > 1 else ""
    if not row.total:
        return tries
    if not wide:
        return tries
    rate = f"{figures.size(row.rate / MEBI)}/s" if row.rate else ""
    return f"{tries}{figures.size(row.copied / MEBI)} of {figures.size(row.total / MEBI)}  {rate}"


def _time(row: Row, now: float) -> str:
    if row.phase is Phase.MOVING:
        left = row.eta
        return f"{figures.duration(left)} left" if left is not None else figures.duration(now - row.since)
    return figures.duration(row.took) if row.took else ""


def _totals(watch: Watch) -> Text:
    found = watch.counts()
    text = line(
        (f"  {found[Phase.ENDED]} of {len(watch.rows)} done", "good"),
        f"  {found[Phase.MOVING]} moving  {found[Phase.WAITING]} waiting",
    )
    if found[Phase.FAILED]:
        text.append(f"  {found[Phase.FAILED]} failed", "bad")
    if watch.rate():
        text.append(f"  {figures.size(watch.rate() / MEBI)}/s in all", "dim")
    return text


class PlainView:
    """One line for what happened; nothing for a mere tick, except what is waited for when that changes."""

    def __init__(self, plan: Plan, console: Console) -> None:
        self.watch = Watch(plan)
        self._console = console
        self._waits_for = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __call__(self, event: Event) -> None:
        self.watch(event)
        words = plain_words(event)
        if isinstance(event, Ticked) and event.waits_for != self._waits_for:
            self._waits_for = event.waits_for
            words = f"waits for {event.waits_for}" if event.waits_for else ""
        if words:
            after = figures.duration(event.at - self.watch.began) if self.watch.began else ""
            done, of = self.watch.counts()[Phase.ENDED], len(self.watch.rows)
            self._console.print(Text(f"{after:>11}  {f'{done}/{of}':>7}  {words}"), soft_wrap=True)


def plain_words(event: Event) -> str:
    """An event as a line of a log; empty when it is not worth one."""
    match event:
        case RunStarted():
            return f"run {event.run_id} started"
        case StepSent():
            to = f" to {event.step.target}" if event.step.target else ""
            again = f" (try {event.attempt})" if event.attempt > 1 else ""
            return f"{event.step.subject_name}: {event.step.action}{to}{again}"
        case StepEnded():
            return _ended_words(event)
        case Retried():
            return f"{event.step.subject_name}: {event.step.action} again: {event.words}"
        case Noted():
            return f"warning: {event.words}" if event.warning else event.words
        case _:
            return ""


def _ended_words(event: StepEnded) -> str:
    result, name = event.result, event.step.subject_name
    words = f": {result.words}" if result.words else ""
    if result.state is StepState.DONE:
        on = f" on {result.target}" if result.target else ""
        return f"{name}: {event.step.action} done{on} in {figures.duration(result.seconds)}"
    if result.state is StepState.SKIPPED:
        return f"{name}: {event.step.action} was done already{words}"
    return f"{name}: {event.step.action} {result.state}{words}"
