"""`nodeops host`: the service nova-compute on one or more hosts."""

from enum import StrEnum
from typing import Annotated

import typer

from nodeops.cli import options as o
from nodeops.cli.bundle import bundled
from nodeops.cli.complete import complete_host
from nodeops.cli.ready import AcceptNew
from nodeops.errors import UsageError

HELP = """nova-compute on a host, over SSH: look at it, stop it, start it, read its log.

The last word says what: status, stop, start, restart or logs. Several hosts
may be named before it; up to --parallel of them are seen to at once. Whether
systemd, docker or podman runs nova-compute is found out there, unless the
inventory says it (nodeops_service_manager, nodeops_nova_compute_unit).

stop, start and restart show what they will do, ask, write it to the journal,
do it and wait until it is seen to be so; a graceful stop may take minutes.
Guests run on meanwhile. With --keep what was stopped stays stopped: masked
until nodeops starts it, or until the next boot. start lifts that.

status exits 30 when nova-compute does not run on one of them.

\b
Examples:
  nodeops host c01 status
  nodeops host c01 c02 c03 status -o json
  nodeops host c01 restart
  nodeops host c01 stop --keep               no configuration run starts it
  nodeops host c01 logs --lines 200 --since 10m
"""


class Verb(StrEnum):
    STATUS = "status"
    STOP = "stop"
    START = "start"
    RESTART = "restart"
    LOGS = "logs"


def complete_word(ctx: typer.Context, incomplete: str) -> list[str]:
    """Hosts, and what may be done with them."""
    return [*complete_host(ctx, incomplete), *(verb for verb in Verb if verb.startswith(incomplete))]


app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(help=HELP)
@bundled
def host(
    ctx: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="HOST... VERB",
            show_default=False,
            autocompletion=complete_word,
            help="Hosts, then status, stop, start, restart or logs.",
        ),
    ],
    keep: Annotated[bool, typer.Option("--keep", help="With stop: keep it stopped.")] = False,
    lines: Annotated[int, typer.Option(min=1, metavar="N", help="With logs: the newest so many.")] = 50,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="With logs: not older than this, such as 10m.")
    ] = None,
    parallel: Annotated[int, typer.Option(min=1, metavar="N", help="Hosts at once.")] = 8,
    accept_new: AcceptNew = False,
    *,
    consent: o.Consent,
) -> None:
    """Look, or change one service."""
    from nodeops.cli import units
    from nodeops.cli.desk import Desk
    from nodeops.cli.host_service import Change, change_services, show_conditions, show_logs
    from nodeops.runbooks.service import Verb as Changing

    *hosts, last = words
    verb = _verb(last)
    if not hosts:
        raise UsageError("host needs a host before its verb", hint=f"nodeops host c01 {last}")
    names = tuple(dict.fromkeys(hosts))
    if keep and verb is not Verb.STOP:
        raise UsageError("--keep goes with stop", hint="nodeops host HOST stop --keep")
    with Desk.of(ctx) as desk:
        desk.accept_new = accept_new
        if verb is Verb.STATUS:
            show_conditions(desk, names, consent.output, at_once=parallel)
        elif verb is Verb.LOGS:
            seconds = None if since is None else units.duration(since, option="--since")
            show_logs(desk, names, consent.output, lines=lines, seconds=seconds, at_once=parallel)
        else:
            change = Change(names, Changing(verb.value), keep, parallel)
            raise typer.Exit(change_services(desk, change, consent.manner))


def _verb(word: str) -> Verb:
    if word not in list(Verb):
        raise UsageError(
            f"{word} is none of {', '.join(Verb)}",
            hint="The verb comes last: nodeops host c01 status",
        )
    return Verb(word)
