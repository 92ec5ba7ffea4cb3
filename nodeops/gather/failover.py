"""All that a failover by the API, and the way back into service after one, is planned from."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nodeops.gather.drain import gather_drain, gather_return
from nodeops.gather.optional import Unseen
from nodeops.model.facts import (
    DrainFacts,
    FailoverFacts,
    HostSettings,
    Inquest,
    Learnt,
    Moved,
    ReadmitFacts,
)
from nodeops.model.world import View


def gather_failover(
    view: View,
    host: str,
    inquest: Inquest | None,
    settings: Mapping[str, HostSettings] | None = None,
    *,
    wanted: Mapping[str, Mapping[str, object]] | None = None,
    also: Sequence[str] = (),
) -> FailoverFacts:
    """The servers of a dead host and where they could go; `wanted` is what the journal says they shall be.

    Raises as `gather_drain` does.
    """
    drain = gather_drain(view, host, settings, also=also)
    elsewhere = tuple(
        server for server in drain.servers if server.host != host and server.status == "VERIFY_RESIZE"
    )
    return FailoverFacts(_with_arrivals(view, drain), inquest, wanted or {}, elsewhere)


def _with_arrivals(view: View, drain: DrainFacts) -> DrainFacts:
    """With the resizes to this host: their migrations have another host as source."""
    unseen = Unseen(list(drain.unseen))
    known = {migration.id: migration for migration in drain.migrations}
    for server in drain.servers:
        if server.host == drain.host.name and server.vm_state == "resized":
            found = unseen.ask(f"migrations of {server.name}", view.migrations_of, server.id) or ()
            known |= {migration.id: migration for migration in found}
    migrations = tuple(sorted(known.values(), key=lambda migration: -migration.id))
    return replace(drain, migrations=migrations, unseen=tuple(unseen.words))


def gather_readmit(
    view: View,
    host: str,
    moved: Sequence[Moved] = (),
    settings: Mapping[str, HostSettings] | None = None,
    learnt: Learnt | None = None,
) -> ReadmitFacts:
    """How far a host is cleaned up; `moved` are the servers to give back. Raises as `gather_return` does."""
    drain = gather_return(view, host, moved, settings, learnt)
    unseen = Unseen()
    provider = drain.host.provider_id
    held = unseen.ask("allocations", view.allocations_on, provider) if provider else None
    agents = unseen.ask("network agents", view.agents_on, host)
    return ReadmitFacts(
        drain=drain,
        evacuations=view.evacuations_from(host),
        on_host=view.servers_on(host),
        allocations=held,
        agents=agents,
        unseen=tuple(unseen.words),
    )
