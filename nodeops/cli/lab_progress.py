"""What a lab command is at: a spinner on a terminal, one line a step elsewhere; on stderr."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from nodeops.report.console import console


@contextmanager
def telling() -> Iterator[Callable[[str], None]]:
    """Give a function that is told the next step in words."""
    to = console(sys.stderr)
    with _spinning(to) if to.is_terminal else _lines(to) as say:
        yield say


@contextmanager
def _lines(to: Console) -> Iterator[Callable[[str], None]]:
    began = time.monotonic()
    yield lambda words: to.print(f"{time.monotonic() - began:6.1f} s  {words}", soft_wrap=True)


@contextmanager
def _spinning(to: Console) -> Iterator[Callable[[str], None]]:
    """Show the step that runs with its time, and above it those before."""
    began = time.monotonic()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=to, transient=True) as progress:
        shown = progress.add_task("")
        steps: list[str] = []

        def say(words: str) -> None:
            if steps:
                progress.console.print(steps[-1], style="dim")
            steps.append(f"{time.monotonic() - began:6.1f} s  {words}")
            progress.reset(shown, description=words)

        yield say
    if steps:
        to.print(steps[-1])
