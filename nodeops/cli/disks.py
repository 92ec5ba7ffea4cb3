"""`nodeops disks`."""

from dataclasses import dataclass
from typing import Annotated

import typer

from nodeops.cli import options as o
from nodeops.cli import units
from nodeops.cli.bundle import bundled
from nodeops.errors import UsageError
from nodeops.model.instance_files import DAY

HELP = """What lies in a host's instances path, and whose it is.

Directories of no server (deleted, moved, unknown), servers without a
directory, base files that are unused, missing or corrupt, broken chains of
disks, and the space that each class holds. Changes nothing.

--clean moves what belongs to nobody to _nodeops-quarantine in the same path,
with a manifest; it deletes nothing. Nothing younger than a day is moved,
nothing that a process or a guest has open, and nothing on a shared path before
every host that may share it has answered. What Nova does not know at all (of
another cell or cloud?) only with --allow unknown.

--salvage copies the directories of a host's servers, and the base files they
are built on, away: its host in rescue, or its disk mounted on another machine
(--from). Checksums are compared, what is there is not overwritten, and the
same command again goes on where it was.

Exits 30 when a disk is broken, or a server has no directory.

\b
Examples:
  nodeops disks c01
  nodeops disks c01 --clean --dry-run      what would be moved
  nodeops disks c01 --clean
  nodeops disks c01 --salvage c02:/srv/saved
  nodeops disks c01 --salvage /srv/saved --from c02:/mnt/c01/instances
"""

Clean = Annotated[bool, typer.Option("--clean", help="Move what belongs to nobody to a quarantine.")]


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What is moved aside."""

    clean: Clean = False
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="CLASS", help="Move this class too: unknown.", show_default=False),
    ] = None
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="TIME", help="Unchanged for so long; at least a day.")
    ] = "24h"


@dataclass(frozen=True, slots=True)
class Salvaging:
    """Where to, and where from."""

    salvage: Annotated[
        str,
        typer.Option(
            "--salvage", metavar="[HOST:]DIRECTORY", show_default=False, help="Copy the host's servers there."
        ),
    ] = ""
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="[HOST:]DIRECTORY",
            show_default=False,
            help="Where its instances path is to be found now.",
        ),
    ] = ""
    everything: Annotated[
        bool, typer.Option("--all", help="Every directory, not only those of its servers.")
    ] = False


disks_app = typer.Typer(rich_markup_mode=None, add_completion=False)


@disks_app.command(help=HELP, context_settings=o.EXTRA)
@bundled
def disks(
    ctx: typer.Context,
    host: o.HostArgument,
    cleaning: Cleaning,
    salvaging: Salvaging,
    consent: o.Consent,
) -> None:
    """Look and judge; with --clean or --salvage a run."""
    from nodeops.cli.desk import Desk
    from nodeops.cli.disks_run import Disks
    from nodeops.cli.disks_salvage import Salvage
    from nodeops.runbooks.disks import KINDS, DisksOptions

    name = o.one_host(ctx, host)
    if salvaging.salvage and cleaning.clean:
        raise UsageError("--clean and --salvage exclude each other", hint="Salvage first.")
    if (salvaging.source or salvaging.everything) and not salvaging.salvage:
        raise UsageError("--from and --all need --salvage", hint="nodeops disks --help shows examples.")
    older_than = units.duration(cleaning.older_than, option="--older-than")
    if older_than < DAY:
        raise UsageError(
            "--older-than must be a day or more", hint="What is younger may be Nova's work under way."
        )
    allow = frozenset(part for word in cleaning.allow or () for part in word.split(","))
    allowable = sorted(kind.name for kind in KINDS.values() if kind.only_allowed)
    if unknown := sorted(allow - set(allowable)):
        raise UsageError(f"--allow {unknown[0]}: no such class", hint=f"There is {', '.join(allowable)}.")
    with Desk.of(ctx) as desk:
        if salvaging.salvage:
            Salvage(desk, consent.manner).run(
                name, salvaging.salvage, salvaging.source, everything=salvaging.everything
            )
        else:
            Disks(desk, consent.manner).run(name, DisksOptions(cleaning.clean, allow, older_than))
