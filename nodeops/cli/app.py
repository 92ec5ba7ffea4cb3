"""The command line's root: global options and the families of commands."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

import typer

from nodeops.cli.globals import Colour, Globals
from nodeops.cli.lazy import Entry, LazyGroup

MAINTENANCE, DEAD, RUNS, LOOKING = "Maintenance", "Dead hosts", "Runs", "Looking"
ITSELF = "The host itself"
DRAIN, PLANS, HISTORY = "nodeops.cli.drain", "nodeops.cli.plans", "nodeops.cli.runs"


class Root(LazyGroup):
    entries: ClassVar[Sequence[Entry]] = (
        Entry(
            "drain",
            "nodeops.cli.drain",
            "Move every server off a host, prove it.",
            MAINTENANCE,
            "drain_app",
        ),
        Entry(
            "undrain",
            "nodeops.cli.drain",
            "Put a drained host and its servers back.",
            MAINTENANCE,
            "undrain_app",
        ),
        Entry("maintain", "nodeops.cli.maintain", "A whole window: drain, work, boot, enable.", MAINTENANCE),
        Entry("plan", PLANS, "Write what a drain would do to a file.", MAINTENANCE, "plan_app"),
        Entry(
            "apply",
            "nodeops.cli.plans",
            "Run an approved plan file, and only that.",
            MAINTENANCE,
            "apply_app",
        ),
        Entry("snapshot", "nodeops.cli.snapshot", "Consistent images before a maintenance.", MAINTENANCE),
        Entry(
            "host", "nodeops.cli.host", "nova-compute on hosts: status, stop, start, restart, logs.", ITSELF
        ),
        Entry("ready", "nodeops.cli.ready", "May this host serve? What is missing?", ITSELF),
        Entry(
            "recover", "nodeops.cli.recover", "Bring back what ran, after a reboot.", ITSELF, "recover_app"
        ),
        Entry("inquest", "nodeops.cli.inquest", "Is a host dead? What proves it?", DEAD, "inquest_app"),
        Entry(
            "failover",
            "nodeops.cli.failover",
            "Save the servers of a dead host, prove it.",
            DEAD,
            "failover_app",
        ),
        Entry("undo", "nodeops.cli.undo", "Put back what a database failover changed.", DEAD, "undo_app"),
        Entry(
            "readmit",
            "nodeops.cli.readmit",
            "Put a host that was dead back into service.",
            DEAD,
            "readmit_app",
        ),
        Entry(
            "reattach", "nodeops.cli.reattach", "Attach volumes anew after a recovery.", DEAD, "reattach_app"
        ),
        Entry(
            "inspect",
            "nodeops.cli.inspect",
            "Look into a server's disk, read only.",
            ITSELF,
            "inspect_app",
        ),
        Entry("disks", "nodeops.cli.disks", "What lies in a host's instances path.", ITSELF, "disks_app"),
        Entry("runs", HISTORY, "List what was run: when, by whom, how it ended.", RUNS, "runs_app"),
        Entry("show", HISTORY, "Show one run: every server, every reason.", RUNS, "show_app"),
        Entry("resume", HISTORY, "Go on with a run that was interrupted.", RUNS, "resume_app"),
        Entry("status", "nodeops.cli.status", "Hosts and their room, or one host's servers.", LOOKING),
        Entry("watch", "nodeops.cli.watch", "Follow servers through their states.", LOOKING),
        Entry("trace", "nodeops.cli.trace", "Why a request failed, out of all logs.", LOOKING),
        Entry("audit", "nodeops.cli.audit", "Left-overs of moves, and their safe repair.", LOOKING),
        Entry("states", "nodeops.cli.states", "States that contradict each other, mended.", LOOKING),
        Entry(
            "address",
            "nodeops.cli.address",
            "Keep, move and win back addresses.",
            "Addresses",
        ),
        Entry(
            "doctor",
            "nodeops.cli.doctor",
            "What is configured, reachable and permitted.",
            "Looking",
        ),
        Entry(
            "lab",
            "nodeops.cli.lab",
            "A real OpenStack on this machine, to rehearse on.",
            "Rehearsal",
            parts=(("fault", "nodeops.cli.lab_fault"), ("populate", "nodeops.cli.lab_populate")),
        ),
    )


HELP = """Compute-node maintenance and evacuation for OpenStack.

\b
  nodeops drain c01 --dry-run       what would happen; changes nothing
  nodeops drain c01                 show it, ask, do it, prove it
  nodeops undrain c01 --give-back   put the host and its servers back

Every command that changes something shows its plan and asks first. It can be
run again at any time, also after a crash: it goes on from where the cloud is.

The cloud is chosen as openstackclient does it: clouds.yaml, OS_* variables,
--os-cloud and its other --os-* options. These options may stand anywhere on
the line.
"""

app = typer.Typer(
    cls=Root,
    name="nodeops",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"nodeops {version('nodeops')}")
        raise typer.Exit


@app.callback(invoke_without_command=True, help=HELP)
def root(
    ctx: typer.Context,
    os_cloud: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The cloud, by its name in clouds.yaml [env: OS_CLOUD]."),
    ] = None,
    inventory: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", envvar="NODEOPS_INVENTORY", help="What the API cannot tell of the hosts."
        ),
    ] = None,
    journal: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="NODEOPS_JOURNAL",
            help="Where runs are recorded, a database URL [default: a SQLite file of this user].",
        ),
    ] = None,
    color: Annotated[
        Colour, typer.Option("--color", metavar="WHEN", help="auto, always or never; NO_COLOR is respected.")
    ] = Colour.AUTO,
    verbose: Annotated[
        int,
        typer.Option("-v", "--verbose", count=True, help="Write a debug log; twice: with every API call."),
    ] = 0,
    version: Annotated[  # noqa: ARG001 - acted upon by its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Collect the global options."""
    cloud = dict(ctx.obj.cloud) if isinstance(ctx.obj, Globals) else {}
    ctx.obj = Globals(
        cloud=cloud | ({"cloud": os_cloud} if os_cloud else {}),
        inventory=inventory,
        journal=journal,
        colour=color,
        verbosity=verbose,
    )
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit(2)
