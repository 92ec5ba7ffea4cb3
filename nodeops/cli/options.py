"""The options of commands that move servers, declared once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from nodeops.cli import units
from nodeops.cli.complete import complete_class, complete_host
from nodeops.cli.output import Format
from nodeops.errors import UsageError
from nodeops.plan import Risk
from nodeops.runbooks.options import MoveOptions, OnStuck


class RiskName(StrEnum):
    LIVE = "live"
    REBOOT = "reboot"
    FORCE = "force"


class OnStuckName(StrEnum):
    ABORT = "abort"
    FORCE_COMPLETE = "force-complete"
    LEAVE = "leave"


HostArgument = Annotated[
    str,
    typer.Argument(
        metavar="HOST", show_default=False, autocompletion=complete_host, help="One compute host."
    ),
]
EXTRA = {"allow_extra_args": True}
"""So that a second host gets an error in words."""
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Only show what would happen.")]
To = Annotated[
    list[str] | None,
    typer.Option(
        "--to", metavar="HOST", autocompletion=complete_host, help="Only this host may receive; repeatable."
    ),
]
Scheduler = Annotated[bool, typer.Option("--scheduler", help="Let Nova choose each target.")]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="CLASS",
        autocompletion=complete_class,
        help="Move servers of this refusal class all the same; repeatable, or with commas.",
    ),
]
RiskOption = Annotated[
    RiskName,
    typer.Option(
        "--risk", metavar="LEVEL", help="live, reboot or force: allow whatever costs no more than this."
    ),
]
LeaveRefused = Annotated[
    bool, typer.Option("--leave-refused", help="Move the others although some are refused.")
]
Parallel = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        show_default=False,
        help="Most moves out of one host at once [default: as many as Nova runs, and one queued].",
    ),
]
Inbound = Annotated[int, typer.Option(min=1, metavar="N", help="Most moves into one host at once.")]
NoCanary = Annotated[bool, typer.Option("--no-canary", help="Do not send one server ahead, alone.")]
OnStuckOption = Annotated[
    OnStuckName,
    typer.Option(
        "--on-stuck", metavar="WAY", help="abort, force-complete or leave a migration that is over its time."
    ),
]
Retries = Annotated[int, typer.Option(min=0, metavar="N", help="Further tries per server.")]
MaxFailures = Annotated[
    int,
    typer.Option(min=0, metavar="N", help="Start nothing new after so many servers failed; 0: never stop."),
]
Rate = Annotated[
    str | None,
    typer.Option(metavar="RATE", help="Bytes per second of one migration, to foretell: 500M, 1.2G."),
]
Window = Annotated[
    str | None, typer.Option(metavar="TIME", help="Say whether it fits into this: 90m, 1h30m.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Output = Annotated[Format, typer.Option("-o", "--output", metavar="FORMAT", help="table, json or markdown.")]
ExitCode = Annotated[
    bool, typer.Option("--exit-code", help="With --dry-run: exit 100 when there is something to change.")
]
GiveBack = Annotated[bool, typer.Option("--give-back", help="Bring back what the last drain moved away.")]
Force = Annotated[bool, typer.Option("--force", help="Enable the host although someone else disabled it.")]


@dataclass(frozen=True, slots=True)
class Choices:
    """What was said on the command line about the moves, not yet looked at."""

    to: Sequence[str] = ()
    scheduler: bool = False
    allow: Sequence[str] = ()
    risk: str = "live"
    leave_refused: bool = False
    parallel: int | None = None
    inbound: int = 2
    canary: bool = True
    on_stuck: str = "abort"
    retries: int = 2
    max_failures: int = 3
    rate: str | None = None
    give_back: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class Manner:
    """How the command behaves towards whoever runs it."""

    dry_run: bool = False
    yes: bool = False
    output: Format = Format.TABLE
    exit_code: bool = False
    window: float | None = None
    """Seconds the whole must fit into."""
    out: Path | None = None
    """A file the plan is written to."""


def one_host(ctx: typer.Context, host: str) -> str:
    """The host that is meant; raises `UsageError` when more were named."""
    if ctx.args:
        raise UsageError(
            f"{ctx.info_name} takes one host, {len(ctx.args) + 1} were given: {', '.join([host, *ctx.args])}",
            hint="Take one after the other: a host that is being drained must not receive from the next.",
        )
    return host


def window_seconds(text: str | None) -> float | None:
    """`--window` in seconds; raises `UsageError`."""
    return None if text is None else units.duration(text, option="--window")


def move_options(choices: Choices, host: str) -> MoveOptions:
    """The runbook's options; raises `UsageError` for what contradicts itself or does not exist."""
    if choices.scheduler and choices.to:
        raise UsageError(
            "--to and --scheduler exclude each other", hint="With --scheduler Nova chooses the host."
        )
    if host in choices.to:
        raise UsageError(f"--to {host} is the host itself", hint="Name other hosts, or leave --to away.")
    return MoveOptions(
        allow=_classes(choices.allow),
        risk=Risk[choices.risk.upper()],
        to=tuple(dict.fromkeys(choices.to)),
        scheduler=choices.scheduler,
        parallel=choices.parallel,
        inbound=choices.inbound,
        canary=choices.canary,
        on_stuck=OnStuck(choices.on_stuck),
        retries=choices.retries,
        max_failures=choices.max_failures or None,
        rate_mib=None if choices.rate is None else units.rate(choices.rate, option="--rate"),
        leave_refused=choices.leave_refused,
    )


def _classes(words: Iterable[str]) -> frozenset[str]:
    """`--allow a,b --allow c` as a set of known classes."""
    named = frozenset(part.strip() for word in words for part in word.split(",") if part.strip())
    if not named:
        return named
    from nodeops.runbooks.classes import CLASSES

    for name in sorted(named):
        if name not in CLASSES:
            near = get_close_matches(name, CLASSES)
            known = ", ".join(sorted(each.name for each in CLASSES.values() if each.override))
            raise UsageError(
                f"--allow {name}: no such refusal class",
                hint=f"Did you mean {' or '.join(near)}?" if near else f"There are {known}.",
            )
        if not CLASSES[name].override:
            raise UsageError(f"--allow {name}: nothing allows it", hint=CLASSES[name].hint)
    return named


def conduct(ctx: typer.Context, runbook: str, host: str, choices: Choices, manner: Manner) -> NoReturn:
    """Hand over to the composition, which is imported only now; ends the command with its exit code."""
    options = move_options(choices, host)
    from nodeops.cli.conduct import Task, carry_out
    from nodeops.cli.desk import Desk

    with Desk.of(ctx) as desk:
        task = Task(runbook, host, options, give_back=choices.give_back, force=choices.force)
        raise typer.Exit(carry_out(desk, task, manner))
