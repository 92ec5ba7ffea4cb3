"""`nodeops recover`."""

import time
from dataclasses import dataclass
from typing import Annotated

import typer

from nodeops.cli import options as o
from nodeops.cli import units
from nodeops.cli.bundle import bundled
from nodeops.cli.failover import priorities
from nodeops.model.recovering import Probe
from nodeops.runbooks.options import MoveOptions

HELP = """Bring back what ran on a host before it booted again.

Waits until the host is ready: booted, libvirt and nova-compute answering, its
instances path there, connected to the message bus and seen by Nova, its
network agent alive. Then it starts the servers that ran before, and only
those: what its owner had stopped, paused or suspended stays so. Which ran is
told by the journal of the maintenance, by Nova's record, and by who asked for
the stop: nova-compute stops what it finds off after a boot, without a user.
Guests that resume_guests_state_on_host_boot has started are said.

A stopped server is started; where that fails it is rebooted hard, which
defines its guest anew. Then its guest has to show that it lives: by its
console, its guest agent (over SSH), or a ping from here. What does not come
up is told with the line of nova-compute's log that explains it, and the next
command. Stale volumes are attached anew as nodeops reattach does it.

The same command again, or nodeops resume RUN, goes on from where it was.
Nothing is enabled: nodeops undrain HOST puts the host back into service.

\b
Examples:
  nodeops recover c01 --dry-run                what ran, and what would be done
  nodeops recover c01
  nodeops recover c01 --priority metadata:tier=gold --priority flavor:db
  nodeops recover c01 --probe agent --parallel 8
  nodeops recover c01 --leave-refused          and leave the doubtful ones off
"""

recover_app = typer.Typer(rich_markup_mode=None, add_completion=False)


@dataclass(frozen=True, slots=True)
class Readying:
    """What the host must be before anything is started."""

    wait: Annotated[
        str, typer.Option(metavar="TIME", help="How long to wait until the host is ready: 15m, 1h.")
    ] = "15m"
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Do not wait: refuse when it is not ready now.")
    ] = False
    force: Annotated[bool, typer.Option("--force", help="Go on although it is not ready.")] = False
    booted: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", show_default=False, help="How long ago it booted, where nobody else can tell."
        ),
    ] = None

    def seconds(self, *, dry_run: bool) -> float:
        """Raises `UsageError`."""
        if self.no_wait or dry_run or self.force:
            return 0.0
        return units.duration(self.wait, option="--wait")

    def booted_at(self) -> float | None:
        """To the minute, so that the same command has the same plan; raises `UsageError`."""
        if self.booted is None:
            return None
        return (time.time() - units.duration(self.booted, option="--booted")) // 60 * 60


@dataclass(frozen=True, slots=True)
class Starting:
    """Who is started, how many at a time, and what they have to show."""

    priority: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="Who is started first: metadata:KEY=VALUE, flavor:NAME or project:ID; repeatable, in order.",
        ),
    ] = None
    parallel: Annotated[int, typer.Option(min=1, metavar="N", help="Most servers started at once.")] = 4
    probe: Annotated[
        Probe,
        typer.Option(metavar="WAY", help="console, agent, ping or none: how a guest shows that it lives."),
    ] = Probe.CONSOLE
    probe_time: Annotated[
        str, typer.Option(metavar="TIME", help="How long that may take it from its start.")
    ] = "3m"
    no_volumes: Annotated[bool, typer.Option("--no-volumes", help="Leave stale volumes as they are.")] = False


@dataclass(frozen=True, slots=True)
class Doubtful:
    """What is done about servers of which it is not known."""

    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS",
            help="Start servers of this refusal class all the same: ran-unknown, in-error; repeatable.",
        ),
    ] = None
    leave_refused: Annotated[
        bool, typer.Option("--leave-refused", help="Start the others although some are refused.")
    ] = False


@recover_app.command(help=HELP, context_settings=o.EXTRA)
@bundled
def recover(
    ctx: typer.Context,
    host: o.HostArgument,
    readying: Readying,
    starting: Starting,
    doubtful: Doubtful,
    asking: o.Asking,
) -> None:
    """Gather, plan, show, ask, run, verify, report."""
    from nodeops.runbooks.recover import RecoverOptions

    name = o.one_host(ctx, host)
    move = MoveOptions(
        allow=o.refusal_classes(doubtful.allow or ()),
        parallel=starting.parallel,
        canary=False,
        retries=1,
        max_failures=None,
        leave_refused=doubtful.leave_refused,
    )
    options = RecoverOptions(
        move,
        priorities(starting.priority or ()),
        starting.probe,
        units.duration(starting.probe_time, option="--probe-time"),
        volumes=not starting.no_volumes,
        force=readying.force,
        booted=readying.booted_at(),
    )
    wait = readying.seconds(dry_run=asking.dry_run)
    o.conduct(ctx, "recover", asking.manner, host=name, options=options, wait=wait)
