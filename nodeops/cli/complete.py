"""Completion of host names, run ids and refusal classes: what cannot be had is left out without a word."""

from typing import Any

from nodeops.errors import NodeopsError


def complete_host(ctx: Any, incomplete: str) -> list[str]:
    """Compute hosts of the cloud that the command line names."""
    from nodeops.cli.desk import Desk

    try:
        with Desk.of_completion(ctx) as desk:
            return sorted(host.name for host in desk.cloud().hosts() if host.name.startswith(incomplete))
    except NodeopsError:
        return []


def complete_server(ctx: Any, incomplete: str) -> list[str]:
    """Names of servers, once something of the name was typed."""
    from nodeops.cli.desk import Desk

    if not incomplete:
        return []
    from nodeops.clients.server_states import ServerStates

    try:
        with Desk.of_completion(ctx) as desk:
            return ServerStates(desk.cloud()).names(incomplete)
    except NodeopsError:
        return []


def complete_run(ctx: Any, incomplete: str) -> list[tuple[str, str]]:
    """Run ids of the journal, with what each was."""
    from nodeops.cli.desk import Desk

    try:
        with Desk.of_completion(ctx) as desk:
            runs = desk.journal().runs()
    except NodeopsError:
        return []
    return [(run.id, f"{run.runbook} {run.host}") for run in runs if run.id.startswith(incomplete)]


def complete_class(incomplete: str) -> list[str]:
    """Refusal classes that have an override."""
    from nodeops.runbooks.classes import CLASSES

    known = (each.name for each in CLASSES.values() if each.override)
    return sorted(name for name in known if name.startswith(incomplete))
