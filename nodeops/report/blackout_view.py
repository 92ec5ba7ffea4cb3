"""How long guests were away while they moved, in words."""

from collections.abc import Iterator, Sequence

from nodeops.model.blackout import Blackout, Figures, Way, figures_of
from nodeops.outcome import ServerResult
from nodeops.report import figures

FINE = 10.0
"""Seconds below which hundredths matter."""
BY: dict[Way, str] = {Way.PING: "by ping", Way.LIBVIRT: "as libvirt says"}


def away(blackout: Blackout | None) -> str:
    """`0.21 s`, `?` when it could not be measured, empty when nobody did."""
    if blackout is None:
        return ""
    return "?" if blackout.seconds is None else seconds(blackout.seconds)


def seconds(number: float) -> str:
    """`0.21 s`, `12 s`."""
    return f"{number:.2f} s" if number < FINE else figures.duration(number)


def figures_of_results(results: Sequence[ServerResult]) -> Figures | None:
    """Of a whole run; None when nobody measured."""
    return figures_of([each.blackout for each in results if each.blackout is not None])


def blackout_lines(results: Sequence[ServerResult]) -> Iterator[str]:
    """The figures of all, and whose could not be measured and why."""
    found = figures_of_results(results)
    if found is None:
        return
    how = BY.get(found.way, "")
    if found.p50 is not None and found.longest is not None:
        guests = figures.count(found.measured, "guest")
        yield f"Blackout of {guests} {how}: p50 {seconds(found.p50)}, max {seconds(found.longest)}"
    for result in results:
        if result.blackout is not None and result.blackout.seconds is None:
            yield f"Blackout of {result.name} not measured: {result.blackout.words}"
