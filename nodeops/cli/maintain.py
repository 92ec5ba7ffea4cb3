"""`nodeops maintain`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from nodeops.cli import options as o
from nodeops.cli import units
from nodeops.cli.bundle import bundled
from nodeops.cli.ready import Accept, accepted
from nodeops.errors import UsageError

if TYPE_CHECKING:
    from nodeops.model.maintaining import Manners, Task

HELP = """Carry a host through a whole maintenance window.

The host is drained and disabled, the site's own commands are run (--before),
nova-compute is stopped and kept stopped, then comes the work: a command after
--, a --script, a --pause in which you work on it, a --reboot or --power-cycle,
one or more of them in this order. Then the boot is waited for and proved,
nova-compute started, and the readiness gate asked (nodeops ready). Only a host
that passes it is enabled; then --after is run, and with --give-back the servers
come home.

It is one plan, asked about once. Each step is written to the journal before it
is made: after a crash, a Ctrl-C or a lost link the same command again, or
nodeops resume RUN, goes on from there. The work runs on the host by itself, as
root, and ends there whatever becomes of this machine; it is not run twice. When
a step fails the host stays disabled, and the report says how it stands and
what comes next; --finish does what comes after the work.

--before and --after are run on this machine, without a shell, and may be run
twice after a crash. The inventory's nodeops_before_maintenance and
nodeops_after_maintenance come with them.

\b
Examples:
  nodeops maintain c01 --dry-run --reboot -- apt-get -y dist-upgrade
  nodeops maintain c01 --give-back --reboot -- apt-get -y dist-upgrade
  nodeops maintain c01 --script ./firmware.sh --power-cycle
  nodeops maintain c01 --pause               Enter, or --go-on, when you are done
  nodeops maintain c01 --finish              the work is done: start, ask, enable
"""


@dataclass(frozen=True, slots=True)
class Work:
    """What is done while the host is empty."""

    script: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Run this script there; what follows -- are its arguments."),
    ] = None
    pause: Annotated[bool, typer.Option("--pause", help="Wait while you work on it.")] = False
    reboot: Annotated[bool, typer.Option("--reboot", help="Reboot it in order.")] = False
    power_cycle: Annotated[
        bool, typer.Option("--power-cycle", help="Switch it off and on, by its fence command.")
    ] = False
    work_time: Annotated[str, typer.Option(metavar="TIME", help="The work may take so long.")] = "2h"
    boot_time: Annotated[str, typer.Option(metavar="TIME", help="The boot may take so long.")] = "20m"
    ready_time: Annotated[
        str, typer.Option(metavar="TIME", help="The readiness gate is asked again for so long.")
    ] = "10m"
    again: Annotated[
        bool, typer.Option("--again", help="Run work once more of which it is not known how it ended.")
    ] = False


@dataclass(frozen=True, slots=True)
class Around:
    """What comes before and after."""

    before: Annotated[
        list[str] | None,
        typer.Option("--before", metavar="COMMAND", help="Run here once it is empty; repeatable."),
    ] = None
    after: Annotated[
        list[str] | None,
        typer.Option("--after", metavar="COMMAND", help="Run here once it serves again; repeatable."),
    ] = None
    give_back: Annotated[bool, typer.Option("--give-back", help="Bring its servers home at the end.")] = False
    accept: Accept = None
    force: o.Force = False
    finish: Annotated[
        bool, typer.Option("--finish", help="Only what comes after the work, which is done.")
    ] = False
    go_on: Annotated[
        bool, typer.Option("--go-on", help="Tell the run that pauses for you that you are done.")
    ] = False


app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(help=HELP)
@bundled
def maintain(
    ctx: typer.Context,
    host: o.HostArgument,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- COMMAND...]", show_default=False, help="The work, run there as root."),
    ] = None,
    *,
    work: Work,
    around: Around,
    targets: o.Targets,
    allowed: o.Allowed,
    pace: o.Pace,
    asking: o.Asking,
) -> None:
    """Gather, plan, show, ask, run, verify, report."""
    from nodeops.cli.desk import Desk
    from nodeops.cli.maintain_task import go_on
    from nodeops.runbooks.maintain import MaintainOptions

    if around.go_on:
        with Desk.of(ctx) as desk:
            go_on(desk, host)
        return
    if around.give_back and targets.scheduler:
        raise UsageError(
            "--give-back and --scheduler exclude each other",
            hint="Where servers come back from has to be planned; leave --scheduler away.",
        )
    options = MaintainOptions(
        _task(work, tuple(command or ()), finish=around.finish),
        o.move_options(host, allowed, pace, targets),
        _manners(work, around),
    )
    o.conduct(
        ctx,
        "maintain",
        asking.manner,
        host=host,
        options=options,
        before=tuple(around.before or ()),
        after=tuple(around.after or ()),
    )


def _task(work: Work, argv: tuple[str, ...], *, finish: bool) -> "Task":
    from nodeops.cli.maintain_task import task_said

    if work.reboot and work.power_cycle:
        raise UsageError(
            "--reboot and --power-cycle exclude each other", hint="Either of them boots it anew."
        )
    task = task_said(argv, work.script, pause=work.pause, reboot=work.reboot, power_cycle=work.power_cycle)
    if not finish and not (argv or work.script or work.pause or work.reboot or work.power_cycle):
        raise UsageError(
            "maintain needs something to do: -- COMMAND, --script, --pause, --reboot or --power-cycle",
            hint="nodeops drain HOST only empties it; --finish does what comes after the work.",
        )
    return task


def _manners(work: Work, around: Around) -> "Manners":
    from nodeops.model.maintaining import Manners, Times

    times = Times(
        work=units.duration(work.work_time, option="--work-time"),
        boot=units.duration(work.boot_time, option="--boot-time"),
        ready=units.duration(work.ready_time, option="--ready-time"),
    )
    return Manners(
        give_back=around.give_back,
        force=around.force,
        finish=around.finish,
        again=work.again,
        accept=accepted(around.accept),
        times=times,
    )
