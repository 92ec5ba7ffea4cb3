"""`nodeops snapshot`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from nodeops.cli import options as o
from nodeops.cli.bundle import bundled
from nodeops.cli.complete import complete_host
from nodeops.errors import UsageError

HELP = """Make images of servers, consistent ones, before a maintenance.

Says beforehand what can be promised of each server and how that was found out:
quiesced by the guest agent (image property, device and agent, the last two by
libvirt over SSH), at rest (shut off), or crash-consistent only. A server that
boots from a volume gets volume snapshots. Asks before anything is done.

Then, for as many servers at once as --parallel says: runs --before, has Nova
make the image, runs --after as soon as Nova is done with the disk, follows the
upload, and tells the image, its size, the seconds the guest was affected and
those in each phase.

--after is run whatever happens: when --before or the image fails, on Ctrl-C,
on SIGTERM. After kill -9 or a power failure it is the first thing that the
same command does when it is given again; so let it be one that may be run
twice. Both commands are run by sh on this machine; NODEOPS_SERVER,
NODEOPS_SERVER_ID, NODEOPS_HOST, NODEOPS_ADDRESS, NODEOPS_ADDRESSES,
NODEOPS_IMAGE and NODEOPS_IMAGE_ID are in their environment.

\b
Exit codes:
  0    every image is there
  5    servers are refused; nothing was done
  10   no image was made     11   some were, some not
  12   how it ended was not seen: the same command again finishes it
  13   there are images, and something about them is not as promised
  31   nothing was begun: servers were in other tasks all the time
  130  Ctrl-C

\b
Examples:
  nodeops snapshot web01 --dry-run
  nodeops snapshot web01 db01 --require-quiesce --keep 3
  nodeops snapshot db01 --before 'ssh root@$NODEOPS_ADDRESS systemctl stop mariadb' \\
                        --after 'ssh root@$NODEOPS_ADDRESS systemctl start mariadb'
  nodeops snapshot --host c01 --name '{server}-before-kernel-update'
"""


class AfterWhen(StrEnum):
    DISK_TAKEN = "disk-taken"
    SNAPSHOT_LEFT = "image_snapshot-left"


app = typer.Typer(rich_markup_mode=None, add_completion=False)

Command = Annotated[
    str, typer.Option("--before", metavar="CMD", show_default=False, help="Run this before, for each server.")
]
After = Annotated[
    str,
    typer.Option("--after", metavar="CMD", show_default=False, help="Run this after the disk phase, always."),
]
When = Annotated[
    AfterWhen,
    typer.Option(
        "--after-when",
        metavar="WHEN",
        help="disk-taken: Nova has its copy; image_snapshot-left: the task has changed, on hypervisors "
        "where that is the same (not libvirt).",
    ),
]


@dataclass(frozen=True, slots=True)
class Commands:
    """What is run around the disk phase."""

    before: Command = ""
    after: After = ""
    after_when: When = AfterWhen.DISK_TAKEN
    command_timeout: Annotated[
        str, typer.Option(metavar="TIME", help="End --before and --after after this; they count as failed.")
    ] = "5m"


@dataclass(frozen=True, slots=True)
class Images:
    """Which images, and which of the old ones."""

    name: Annotated[
        str,
        typer.Option(
            metavar="TEMPLATE", help="Names of the images: {server}, {id}, {host}, {date}, {time}, in UTC."
        ),
    ] = "{server}-{date}-{time}"
    keep: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Delete older images of the server so that N stay: only those nodeops made itself.",
        ),
    ] = None
    require_quiesce: Annotated[
        bool, typer.Option("--require-quiesce", help="Refuse servers whose image would not be consistent.")
    ] = False
    leave_refused: Annotated[
        bool, typer.Option("--leave-refused", help="Make the others although some are refused.")
    ] = False


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many, how long."""

    parallel: Annotated[int, typer.Option(min=1, metavar="N", help="Most images at once.")] = 2
    wait: Annotated[
        str, typer.Option(metavar="TIME", help="How long a server that is in another task is waited for.")
    ] = "30m"
    timeout: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            show_default=False,
            help="How long the disk phase may last; then --after is run [default: by the disk's size].",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class Consent(o.Consent):
    """Whether images are made, and what a dry run exits with."""

    exit_code: o.ExitCode = False


@app.command(help=HELP)
@bundled
def snapshot(
    ctx: typer.Context,
    commands: Commands,
    images: Images,
    bounds: Bounds,
    consent: Consent,
    servers: o.Servers = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host", metavar="HOST", autocompletion=complete_host, help="All servers of this host."
        ),
    ] = None,
) -> None:
    """Changes nothing of the servers."""
    from nodeops.cli import units
    from nodeops.cli.desk import Desk
    from nodeops.cli.snapshot_orders import Orders
    from nodeops.cli.snapshot_run import Wish, snapshot

    named = o.servers_or_host(ctx, servers, host)
    for option, words in (("--before", commands.before), ("--after", commands.after)):
        _no_secret(option, words)
    orders = Orders(
        before=commands.before,
        after=commands.after,
        keep=images.keep,
        wait_seconds=units.duration(bounds.wait, option="--wait"),
        command_seconds=units.duration(commands.command_timeout, option="--command-timeout"),
        disk_seconds=None if bounds.timeout is None else units.duration(bounds.timeout, option="--timeout"),
        at_once=commands.after_when is AfterWhen.SNAPSHOT_LEFT,
    )
    wish = Wish(
        tuple(dict.fromkeys(named)),
        host,
        images.name,
        orders,
        images.require_quiesce,
        images.leave_refused,
        bounds.parallel,
    )
    with Desk.of(ctx) as desk:
        raise typer.Exit(snapshot(desk, wish, consent.manner))


def _no_secret(option: str, words: str) -> None:
    """It is written to the journal, so that a later command can run it; raises `UsageError`."""
    from nodeops.log import redact

    if redact(words) != words:
        raise UsageError(
            f"{option} has a secret in it, and the journal keeps it",
            hint="Let the command read it from a file or from its environment.",
        )
