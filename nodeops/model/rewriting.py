"""What a rewrite of records, its check and its undo are planned from, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nodeops.model.facts import (
    Attachment,
    Host,
    HostSettings,
    Identity,
    Inquest,
    NetworkAgent,
    Port,
    Server,
    ServerGroup,
)
from nodeops.model.records import HostRecords
from nodeops.plan import Step, StepId

ROWS = "rows"
"""Param of a step: what it changes, each `[table, key, column, before, after]`."""


class Bindings(StrEnum):
    """How ports are taken to another host."""

    BOTH = "both"
    """The rows first, then Neutron is told to bind them anew."""
    API = "api"
    DATABASE = "database"
    """The rows only: for a cloud whose Neutron API is gone too."""

    @property
    def in_database(self) -> bool:
        return self is not Bindings.API

    @property
    def by_api(self) -> bool:
        return self is not Bindings.DATABASE


@dataclass(frozen=True, slots=True)
class RewriteFacts:
    """All that a failover by the database is planned from."""

    identity: Identity
    host: Host
    """The dead one."""
    target: Host
    """With Placement's figures."""
    servers: tuple[Server, ...]
    """As Nova's API has them: those on the host, and those of an unfinished run wherever they are."""
    records: HostRecords
    rights: tuple[str, ...] = ()
    """What the database accounts may not do, in words."""
    inquest: Inquest | None = None
    held: Mapping[str, Mapping[str, Mapping[str, int]]] | None = None
    """Server id -> provider -> resource class -> amount, in both trees; None: Placement is silent."""
    source_tree: frozenset[str] = frozenset()
    target_tree: frozenset[str] = frozenset()
    groups: tuple[ServerGroup, ...] = ()
    ports: tuple[Port, ...] | None = None
    """None: Neutron's API is silent."""
    agents: tuple[NetworkAgent, ...] | None = None
    """Of the target."""
    attachments: tuple[Attachment, ...] | None = None
    """None: Cinder is silent."""
    connector: Mapping[str, Any] | None = None
    """Of the target: how its storage is to know it; None when nobody could tell."""
    settings: Mapping[str, HostSettings] = field(default_factory=dict)
    earlier: Mapping[StepId, Step] = field(default_factory=dict)
    """Steps of an unfinished run of this host, as they were planned or sent."""
    sent: frozenset[StepId] = frozenset()
    """Those of them that were sent."""
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RewriteEvidence:
    """What is seen after a rewrite or its undo, on which the verdicts rest."""

    servers: Mapping[str, Server | None]
    records: HostRecords | None
    """Of exactly these servers, wherever they are; None when the database did not answer."""
    source: Host | None
    held: Mapping[str, Mapping[str, Mapping[str, int]]] | None
    """As in `RewriteFacts`, by provider of either tree."""
    ports: tuple[Port, ...] | None
    attachments: tuple[Attachment, ...] | None
    source_provider: str = ""
    target_provider: str = ""
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UndoFacts:
    """All that an undo is planned from."""

    identity: Identity
    run: str
    """The run that is taken back."""
    host: Host
    """The one the servers came from."""
    target: str
    steps: Mapping[StepId, Step]
    """Of that run, as they were planned or sent."""
    sent: frozenset[StepId]
    names: Mapping[str, str]
    """Server id -> name, of every server of that run that was not refused."""
    servers: Mapping[str, Server | None]
    records: HostRecords
    saved: frozenset[str]
    """Servers whose rows are in the undo file."""
    file: str
    """Its path."""
    old_connector: bool = False
    """Whether the file knows how the storage knew the old host."""
    held: Mapping[str, Mapping[str, Mapping[str, int]]] | None = None
    """As in `RewriteFacts`."""
    ports: tuple[Port, ...] | None = None
    attachments: tuple[Attachment, ...] | None = None
    agents: tuple[NetworkAgent, ...] | None = None
    """Of the old host."""
    earlier: Mapping[StepId, Step] = field(default_factory=dict)
    """Steps of an unfinished undo of that run."""
    undone: frozenset[StepId] = frozenset()
    """Those of them that were sent."""
    unseen: tuple[str, ...] = ()
