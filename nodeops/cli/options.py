"""The options of commands that move servers, declared once."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from nodeops.cli import units
from nodeops.cli.complete import complete_class, complete_host, complete_server
from nodeops.cli.output import Format
from nodeops.errors import UsageError
from nodeops.model.blackout import Way
from nodeops.plan import Risk
from nodeops.runbooks.options import MoveOptions, OnStuck


class RiskName(StrEnum):
    LIVE = "live"
    REBOOT = "reboot"
    FORCE = "force"


class ProbeName(StrEnum):
    NONE = "none"
    PING = "ping"
    LIBVIRT = "libvirt"


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
HostOrAll = Annotated[
    str | None,
    typer.Argument(metavar="[HOST]", show_default=False, autocompletion=complete_host, help="Only this one."),
]
ServerArgument = Annotated[
    str,
    typer.Argument(
        metavar="SERVER",
        show_default=False,
        autocompletion=complete_server,
        help="By id, or by exact name.",
    ),
]
Servers = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SERVER]...",
        show_default=False,
        autocompletion=complete_server,
        help="By id, or by exact name.",
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
Probe = Annotated[
    ProbeName,
    typer.Option(
        metavar="WAY",
        help="Measure how long each guest is away: ping from here, libvirt by SSH, or none.",
    ),
]
Window = Annotated[
    str | None, typer.Option(metavar="TIME", help="Say whether it fits into this: 90m, 1h30m.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Output = Annotated[Format, typer.Option("-o", "--output", metavar="FORMAT", help="table, json or markdown.")]
ExitCode = Annotated[
    bool, typer.Option("--exit-code", help="With --dry-run: exit 100 when there is something to change.")
]
Confirm = Annotated[
    str,
    typer.Option(
        metavar="HOST@DIGEST",
        show_default=False,
        help="Instead of typing the host's name: of exactly this plan.",
    ),
]
Fence = Annotated[bool, typer.Option("--fence", help="Power the host off, and prove that it is off.")]
GiveBack = Annotated[
    bool, typer.Option("--give-back", help="Bring back what the last drain or failover moved away.")
]
Force = Annotated[bool, typer.Option("--force", help="Enable the host although someone else disabled it.")]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast, and when to stop."""

    parallel: Parallel = None
    inbound: Inbound = 2
    no_canary: NoCanary = False
    on_stuck: OnStuckOption = OnStuckName.ABORT
    retries: Retries = 2
    max_failures: MaxFailures = 3
    rate: Rate = None
    probe: Probe = ProbeName.NONE


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be done to servers that are not simply moved."""

    allow: Allow = None
    risk: RiskOption = RiskName.LIVE
    leave_refused: LeaveRefused = False


@dataclass(frozen=True, slots=True)
class Targets:
    """Where they may go."""

    to: To = None
    scheduler: Scheduler = False


@dataclass(frozen=True, slots=True)
class Consent:
    """Whether a change is only shown, asked about, or made."""

    dry_run: DryRun = False
    yes: Yes = False
    output: Output = Format.TABLE

    @property
    def manner(self) -> "Manner":
        return Manner(**{each.name: getattr(self, each.name) for each in fields(self)})


@dataclass(frozen=True, slots=True)
class ConsentToPlan(Consent):
    """The same of a plan that was made before."""

    exit_code: ExitCode = False
    confirm: Confirm = ""


@dataclass(frozen=True, slots=True)
class Asking:
    """How a command that changes something behaves towards whoever runs it."""

    dry_run: DryRun = False
    window: Window = None
    yes: Yes = False
    output: Output = Format.TABLE
    exit_code: ExitCode = False

    @property
    def manner(self) -> "Manner":
        """Raises `UsageError` for a bad `--window`."""
        return Manner(self.dry_run, self.yes, self.output, self.exit_code, window_seconds(self.window))


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
    confirm: str = ""
    """`HOST@DIGEST`, where a run is gone on with or a plan file applied."""


def one_host(ctx: typer.Context, host: str) -> str:
    """The host that is meant; raises `UsageError` when more were named."""
    if ctx.args:
        raise UsageError(
            f"{ctx.info_name} takes one host, {len(ctx.args) + 1} were given: {', '.join([host, *ctx.args])}",
            hint="Take one after the other: a host that is being drained must not receive from the next.",
        )
    return host


def servers_or_host(ctx: typer.Context, servers: list[str] | None, host: str | None) -> tuple[str, ...]:
    """The servers that are named, none where it is all of a host; raises `UsageError` for both or neither."""
    if bool(servers) is bool(host):
        raise UsageError(
            f"{ctx.info_name} takes servers or --host HOST, and not both",
            hint=f"nodeops {ctx.info_name} --help has examples.",
        )
    return tuple(servers or ())


def window_seconds(text: str | None) -> float | None:
    """`--window` in seconds; raises `UsageError`."""
    return None if text is None else units.duration(text, option="--window")


def move_options(host: str, allowed: Allowed, pace: Pace, targets: Targets | None = None) -> MoveOptions:
    """The runbook's options; raises `UsageError` for what contradicts itself or does not exist."""
    places = targets or Targets()
    to = tuple(dict.fromkeys(places.to or ()))
    if places.scheduler and to:
        raise UsageError(
            "--to and --scheduler exclude each other", hint="With --scheduler Nova chooses the host."
        )
    if host in to:
        raise UsageError(f"--to {host} is the host itself", hint="Name other hosts, or leave --to away.")
    return MoveOptions(
        allow=refusal_classes(allowed.allow or ()),
        risk=Risk[allowed.risk.upper()],
        to=to,
        scheduler=places.scheduler,
        parallel=pace.parallel,
        inbound=pace.inbound,
        canary=not pace.no_canary,
        on_stuck=OnStuck(pace.on_stuck),
        retries=pace.retries,
        max_failures=pace.max_failures or None,
        rate_mib=None if pace.rate is None else units.rate(pace.rate, option="--rate"),
        leave_refused=allowed.leave_refused,
        probe=Way(pace.probe),
    )


def refusal_classes(words: Iterable[str]) -> frozenset[str]:
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


def conduct(ctx: typer.Context, runbook: str, manner: Manner, **parts: Any) -> NoReturn:
    """Hand over to the composition, which is imported only now; ends the command with its exit code.

    `parts` are the fields of the runbook's task.
    """
    from nodeops.cli.conduct import carry_out
    from nodeops.cli.desk import Desk
    from nodeops.cli.task import task_class

    with Desk.of(ctx) as desk:
        raise typer.Exit(carry_out(desk, task_class(runbook)(**parts), manner))
