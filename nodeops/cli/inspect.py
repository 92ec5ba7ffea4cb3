"""`nodeops inspect`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from nodeops.cli import options as o
from nodeops.cli import units
from nodeops.cli.bundle import bundled
from nodeops.cli.complete import complete_host, complete_server
from nodeops.cli.output import Format
from nodeops.errors import UsageError

HELP = """Look into a server's disk on its host, read only, and put all of it back.

With its owner's consent, which is asked for and written down. A guest that
runs is suspended while you look, and resumed at the end; one that is shut off
stays so. The disk is exported and mounted read only, without playing a journal
and without QEMU's locks: nothing of it can change, and whoever starts the
guest meanwhile can. You see what the guest had written out by then.

What you do there: a shell (the host's programs in the guest's files), --list a
directory, or --copy files out; their checksums are compared. All is taken down
again whatever happens: an error, Ctrl-C, kill -9, a lost connection. Then the
host itself does it, 30 s after it last heard of nodeops.

Several file systems: name the part before the path, as in p2:/var/log.

\b
Examples:
  nodeops inspect web01 --dry-run            what would be done
  nodeops inspect web01                      a shell, after asking
  nodeops inspect web01 --list /var/log
  nodeops inspect web01 --copy /var/log/syslog --to evidence
  nodeops inspect web01 --disk 1             the second disk
  nodeops inspect --clean c01                end what an older look left
"""

NO_SERVER = "name one server, or --clean HOST"
ServerArgument = Annotated[
    str,
    typer.Argument(
        metavar="[SERVER]",
        show_default=False,
        autocompletion=complete_server,
        help="By id, or by exact name.",
    ),
]
Clean = Annotated[
    str,
    typer.Option(
        "--clean",
        metavar="HOST",
        show_default=False,
        autocompletion=complete_host,
        help="End every look that was left on this host.",
    ),
]


@dataclass(frozen=True, slots=True)
class What:
    """What is done in there; a shell when nothing is said."""

    listed: Annotated[
        str, typer.Option("--list", metavar="[PART:]PATH", show_default=False, help="List a directory.")
    ] = ""
    copied: Annotated[
        list[str] | None,
        typer.Option("--copy", metavar="[PART:]PATH", help="Copy this file out; repeatable."),
    ] = None
    to: Annotated[
        Path, typer.Option("--to", metavar="DIRECTORY", help="Where copies go; nothing is overwritten.")
    ] = Path()


@dataclass(frozen=True, slots=True)
class How:
    """Which disk, and for how long."""

    disk: Annotated[int, typer.Option("--disk", min=0, metavar="N", help="0 the first, 1 the second.")] = 0
    longest: Annotated[
        str, typer.Option("--for", metavar="TIME", help="End it after so long: the guest stands still.")
    ] = "30m"
    consent: Annotated[
        str,
        typer.Option(
            metavar="WORDS", show_default=False, help="Who agreed and how; asked for when it is not given."
        ),
    ] = ""
    write: Annotated[
        bool,
        typer.Option(
            "--write", help="Mount it for writing; only of a guest that is shut off, locked meanwhile."
        ),
    ] = False


inspect_app = typer.Typer(rich_markup_mode=None, add_completion=False)


@inspect_app.command(help=HELP, context_settings=o.EXTRA)
@bundled
def inspect(
    ctx: typer.Context,
    what: What,
    how: How,
    server: ServerArgument = "",
    clean: Clean = "",
    *,
    consent: o.Consent,
) -> None:
    """Look, ask, open, do, close; or clean."""
    from nodeops.cli.desk import Desk
    from nodeops.cli.inspect_clean import clean_up
    from nodeops.cli.inspect_run import Inspection, Task
    from nodeops.runbooks.inspect import InspectOptions

    if bool(server) == bool(clean) or ctx.args:
        raise UsageError(NO_SERVER, hint="nodeops inspect --help shows examples.")
    if what.listed and what.copied:
        raise UsageError("--list and --copy exclude each other", hint="Do one after the other.")
    task = Task(what.listed, tuple(what.copied or ()), what.to)
    if task.is_shell and consent.output is not Format.TABLE and not consent.dry_run and not clean:
        raise UsageError("a shell has no output format", hint="Say what to --list or to --copy.")
    seconds = units.duration(how.longest, option="--for")
    with Desk.of(ctx) as desk:
        if clean:
            clean_up(desk, clean, consent.manner)
            return
        options = InspectOptions(how.disk, how.write, seconds, how.consent)
        Inspection(desk, consent.manner).run(server, options, task)
