"""`nodeops failover`."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from nodeops.cli import options as o
from nodeops.cli.bundle import bundled
from nodeops.errors import UsageError
from nodeops.model.rewriting import Bindings
from nodeops.runbooks.options import MoveOptions
from nodeops.runbooks.priority import Priority

FAILOVER = """Save the servers of a dead host.

The host must be dead: nodeops inquest looks for proof, and this command asks
it first. Where it cannot tell, say in your words how the host was fenced
(--fenced-by): they are recorded, and you type the host's name. A guest that
still runs there and its copy elsewhere write to the same disks.

The host is disabled and forced down, and Nova evacuates its servers to other
hosts: those that ran run again, those that were off stay off. Servers with
local disks would begin anew and are refused, until you name that; so are
states that Nova does not evacuate. The command waits until every evacuation
has ended and was checked. A target that refuses is replaced by another one.

The same command again, or nodeops resume RUN, goes on from where it was.
When the host is back: nodeops readmit HOST.

\b
Examples:
  nodeops inquest c01                            is it dead?
  nodeops failover c01 --dry-run                 what can be saved, and what not
  nodeops failover c01                           show, ask, do, prove
  nodeops failover c01 --priority metadata:tier=gold --priority flavor:db
  nodeops failover c01 --allow memory-lost --leave-refused
  nodeops failover c01 --fenced-by "PDU 7 off"   your word instead of proof
"""

failover_app = typer.Typer(rich_markup_mode=None, add_completion=False)


class Method(StrEnum):
    API = "api"
    DATABASE = "database"


@dataclass(frozen=True, slots=True)
class Death:
    """How it is known, and what is done about it."""

    method: Annotated[
        Method,
        typer.Option(metavar="WAY", help="api: Nova evacuates; database: what Nova will not, to one host."),
    ] = Method.API
    fenced_by: Annotated[
        str,
        typer.Option(metavar="WORDS", show_default=False, help="How you know that nothing runs there."),
    ] = ""
    priority: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="Who is saved first: metadata:KEY=VALUE, flavor:NAME or project:ID; repeatable, in order.",
        ),
    ] = None
    confirm: Annotated[
        str,
        typer.Option(
            metavar="HOST@DIGEST",
            show_default=False,
            help="Instead of typing the host's name: of exactly this plan.",
        ),
    ] = ""


@dataclass(frozen=True, slots=True)
class Evacuating:
    """How fast, and when to stop."""

    parallel: Annotated[int, typer.Option(min=1, metavar="N", help="Most evacuations at once.")] = 4
    inbound: o.Inbound = 2
    canary: Annotated[bool, typer.Option("--canary", help="Send one server ahead, alone.")] = False
    retries: o.Retries = 2
    max_failures: o.MaxFailures = 3


@dataclass(frozen=True, slots=True)
class Database:
    """Only with `--method database`."""

    bindings: Annotated[
        Bindings,
        typer.Option(metavar="WAY", help="Database way: ports by both, api or database."),
    ] = Bindings.BOTH
    keep_attachments: Annotated[
        bool, typer.Option("--keep-attachments", help="Database way: leave volume attachments as they are.")
    ] = False
    connector: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="Database way: how the storage is to know the target, from nova-manage there.",
        ),
    ] = ""


@failover_app.command(help=FAILOVER, context_settings=o.EXTRA)
@bundled
def failover(
    ctx: typer.Context,
    host: o.HostArgument,
    targets: o.Targets,
    death: Death,
    allowed: o.Allowed,
    pace: Evacuating,
    database: Database,
    asking: o.Asking,
) -> None:
    """Gather, plan, show, ask, run, verify, report."""
    name = o.one_host(ctx, host)
    move = _move_options(name, targets, allowed, pace)
    order = priorities(death.priority or ())
    if death.method is Method.DATABASE:
        from nodeops.runbooks.rewrite_scene import RewriteOptions

        bindings, keep, connector = database.bindings, database.keep_attachments, database.connector
        rewrite = RewriteOptions(move, death.fenced_by, order, bindings, keep, connector)
        o.conduct(
            ctx, "failover-database", asking.manner, host=name, options=rewrite, confirmed=death.confirm
        )
    if database != Database():
        raise UsageError(
            "--bindings, --keep-attachments and --connector are of the database way",
            hint="Leave them away: Nova's evacuation binds ports and attaches volumes itself.",
        )
    from nodeops.runbooks.failover import FailoverOptions

    options = FailoverOptions(move, death.fenced_by, order)
    o.conduct(ctx, "failover", asking.manner, host=name, options=options, confirmed=death.confirm)


def _move_options(host: str, targets: o.Targets, allowed: o.Allowed, pace: Evacuating) -> MoveOptions:
    said = o.Pace(
        parallel=pace.parallel,
        inbound=pace.inbound,
        no_canary=not pace.canary,
        retries=pace.retries,
        max_failures=pace.max_failures,
    )
    return o.move_options(host, allowed, said, targets)


def priorities(words: Sequence[str]) -> tuple[Priority, ...]:
    """Raises `UsageError`."""
    found = []
    for each in words:
        try:
            found.append(Priority.parse(each))
        except ValueError as error:
            raise UsageError(
                f"--priority {each}: not understood",
                hint="Say metadata:KEY=VALUE, flavor:NAME or project:ID.",
            ) from error
    return tuple(found)
