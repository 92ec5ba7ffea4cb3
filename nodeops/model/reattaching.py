"""What is known of the volumes of servers, from Nova, Cinder and, where there are any, the databases."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nodeops.model.facts import AttachedVolume, Attachment, Host, Server
from nodeops.model.records import ServerRecord


@dataclass(frozen=True, slots=True)
class ReattachFacts:
    """All that decides which volumes are attached anew."""

    cloud: str
    host: Host
    server_id: str | None
    """None: every server of the host."""
    servers: tuple[Server, ...]
    named: Mapping[str, tuple[AttachedVolume, ...]]
    """Nova's mappings, by server id."""
    attachments: tuple[Attachment, ...]
    """Cinder's, of these servers, with their host where it is known."""
    promised: tuple[AttachedVolume, ...] = ()
    """Volumes that an unfinished run has detached, or is about to, and has to attach again, as they were."""
    records: Mapping[str, ServerRecord] = field(default_factory=dict)
    """By server id; empty without the databases."""
    connector: Mapping[str, Any] | None = None
    """Of the host, as another attachment there has it; None when it is not known."""
    unseen: tuple[str, ...] = ()
