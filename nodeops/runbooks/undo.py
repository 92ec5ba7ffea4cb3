"""`undo`: what a failover by the database has changed is put back, in reverse order.

Each step is made only where the value is still ours. A server whose guest has run on the target, or whose old
host has removed its copy, is refused: from then on the way back is a migration.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

from nodeops.actions.bind_ports import UNBOUND
from nodeops.model.facts import PowerState, Server
from nodeops.model.records import ServerRecord, TombstoneRecord
from nodeops.model.rewriting import ROWS, UndoFacts
from nodeops.plan import Action, Finding, Json, Level, Plan, Risk, ServerPlan, Step
from nodeops.runbooks import estimate
from nodeops.runbooks.classes import Bar, refusals
from nodeops.runbooks.options import MoveOptions, cloud_key, options_json, options_of
from nodeops.runbooks.rewrite_scene import HOST_FREE

RUNBOOK = "undo"
SECONDS: Mapping[str, float] = {
    "restore-attachments": 3.0,
    "bind-ports": 1.0,
    "restore-bindings": 0.2,
    "tell-neutron": 1.0,
    "restore-records": 0.2,
    "restore-allocation": 0.3,
}
BUDGET = 120.0


@dataclass(frozen=True, slots=True)
class UndoOptions:
    """Choices of an undo."""

    run: str
    move: MoveOptions = field(default_factory=lambda: MoveOptions(canary=False, max_failures=None))


def undo_options(plan: Plan) -> UndoOptions:
    """The options a plan was made with; raises as `options_of` does."""
    return UndoOptions(str(plan.options["run"]), options_of(plan))


def plan_undo(facts: UndoFacts, options: UndoOptions) -> Plan:
    """What an undo of the run would do."""
    cases = [_Case(facts, server_id, name) for server_id, name in sorted(facts.names.items(), key=_by_name)]
    plans = [case.planned() for case in cases]
    chains = [chain for _, chain in plans]
    moves = [(0.0, sum(step.expected_seconds for step in chain)) for chain in chains if chain]
    said: dict[str, Json] = {"run": options.run}
    return Plan(
        runbook=RUNBOOK,
        host=facts.host.name,
        cloud=cloud_key(facts.identity),
        options=options_json(options.move) | said,
        steps=tuple(step for chain in chains for step in chain),
        servers=tuple(server for server, _ in plans),
        findings=tuple(_findings(facts, cases)),
        expected_seconds=estimate.total(moves, side_by_side=1, canary=False),
    )


def _by_name(item: tuple[str, str]) -> tuple[str, str]:
    return item[1], item[0]


@dataclass(frozen=True)
class _Case:
    """One server of the run that is taken back."""

    facts: UndoFacts
    id: str
    name: str

    def planned(self) -> tuple[ServerPlan, tuple[Step, ...]]:
        bars = tuple(self._bars())
        steps = () if bars else self.steps()
        server = self.server
        goes = bool(steps)
        plan = ServerPlan(
            id=self.id,
            name=self.name,
            status=server.status if server else "DELETED",
            action=Action.RESTORE if goes else Action.NONE,
            target=self.facts.host.name if goes else None,
            refusals=refusals(bars),
            why=_WHY if goes else "nothing of it is changed",
            risk=Risk.FORCE if goes else Risk.SAFE,
            expected_seconds=round(sum(step.expected_seconds for step in steps), 1),
        )
        return plan, steps

    # -- what is seen of it

    @property
    def server(self) -> Server | None:
        return self.facts.servers.get(self.id)

    @cached_property
    def record(self) -> ServerRecord | None:
        return next((each for each in self.facts.records.servers if each.id == self.id), None)

    def made(self, action: str) -> Mapping[str, Any] | None:
        """What the run said to do; None when it did not plan it."""
        step = self.facts.steps.get(f"{action}:{self.id}")
        return None if step is None else step.params

    @cached_property
    def tombstone(self) -> TombstoneRecord | None:
        said = self.made("rewrite-records")
        uuid = said["tombstone"]["uuid"] if said else None
        return next((each for each in self.facts.records.tombstones if each.uuid == uuid), None)

    @property
    def rewritten(self) -> bool:
        """Its row is on the target, by this run."""
        record, said = self.record, self.made("rewrite-records")
        if record is None or said is None or self.tombstone is None:
            return False
        return [record.host, record.node] == [said["changed"]["host"], said["changed"]["node"]]

    def begun(self, action: str) -> bool:
        """Whether the unfinished part of this undo has sent that step."""
        return f"{action}:{self.id}" in self.facts.undone

    # -- what can no longer be undone

    def _bars(self) -> Iterator[Bar]:
        server, record, said = self.server, self.record, self.made("rewrite-records")
        if server is None or record is None or said is None:
            return
        if not self.rewritten:
            if record.host not in {self.facts.host.name, None}:
                yield Bar("not-ours", f"its row is on {record.host}, and not by this run any more")
            return
        tombstone = self.tombstone
        if tombstone is not None and tombstone.status == "completed":
            words = f"nova-compute of {self.facts.host.name} has started and removed its copy"
            yield Bar("old-host-back", words)
        elif self.facts.host.up and not self.facts.host.forced_down:
            words = f"nova-compute of {self.facts.host.name} is up: it may remove its copy at any time"
            yield Bar("old-host-back", words)
        if self._ran(server, record, said):
            yield Bar("has-run", f"its guest has run on {record.host} ({server.status})")
        if server.task_state is not None:
            yield Bar("busy", f"it is busy: {server.task_state}", overridable=False)
        if self.id not in self.facts.saved:
            yield Bar("not-saved", f"it is not in {self.facts.file}")
        yield from self._lost_attachments()

    def _ran(self, server: Server, record: ServerRecord, said: Mapping[str, Any]) -> bool:
        """Nova has changed its state since the rewrite, or its guest has one.

        A reboot that Nova took shows as a task or in the state; of a server in ERROR a failed one shows
        nowhere, so there the request counts.
        """
        before = said["expected"]["vm_state"]
        running = PowerState.RUNNING in {server.power_state, record.power_state}
        rebooted = before == "error" and f"reboot-hard:{self.id}" in self.facts.sent
        return record.vm_state != before or running or rebooted

    def _lost_attachments(self) -> Iterator[Bar]:
        """An old attachment that is deleted can only be made anew by who knows the old connector."""
        for volume in self._volumes():
            known = {each.id for each in self.facts.attachments or () if each.volume_id == volume["volume"]}
            if volume["old"] not in known and not self.facts.old_connector and volume["bound"]:
                words = (
                    f"the old attachment of volume {volume['volume']} is deleted, and how the storage knew "
                )
                yield Bar("attachment-gone", f"{words}{self.facts.host.name} is not in the undo file")

    # -- the steps

    def steps(self) -> tuple[Step, ...]:
        """From the last change to the first."""
        if self.server is None or self.record is None:
            return ()
        found: list[Step] = []
        for action, params in self._changes():
            needs = (found[-1].id,) if found else ()
            found.append(self._step(action, params, needs))
        return tuple(found)

    def _changes(self) -> Iterator[tuple[str, dict[str, Json]]]:
        near, target = self.facts.host.name, self.facts.target
        volumes = [each for each in self._volumes() if self._is_changed(each)]
        earlier = self.facts.earlier.get(f"restore-attachments:{self.id}")
        if earlier is not None and self.begun("restore-attachments"):
            yield "restore-attachments", dict(earlier.params)
        elif volumes:
            yield "restore-attachments", self._attachments(volumes)
        yield from self._ports()
        said = self.made("rewrite-records")
        if said is not None and self.rewritten:
            rows: list[Json] = [["instances", self.id, "host", target, near], _tombstone_row(said)]
            keep = {name: said[name] for name in ("near", "expected", "changed", "tombstone")}
            yield "restore-records", {**keep, "run": self.facts.run, ROWS: rows}
        moved = self.made("rewrite-allocation")
        if moved is not None and self._counted_on(moved["target"]) and not self._counted_on(moved["source"]):
            yield "restore-allocation", _back(moved, self.id)

    def _counted_on(self, provider: str) -> bool:
        return provider in (self.facts.held or {}).get(self.id, {})

    # -- volumes

    def _volumes(self) -> list[dict[str, Any]]:
        """Those the run was to attach anew, each with the attachment it has now."""
        said, record = self.made("renew-attachments"), self.record
        if said is None or record is None:
            return []
        now = {each.mapping_id: each for each in record.volumes}
        return [
            {
                **each,
                "ours": now[each["mapping"]].attachment_id,
                "bound": now[each["mapping"]].driver not in HOST_FREE,
            }
            for each in cast("Sequence[Mapping[str, Any]]", said["volumes"])
            if each["mapping"] in now
        ]

    def _is_changed(self, volume: Mapping[str, Any]) -> bool:
        """Whether its row names ours; one left beside the old by a killed attempt counts too.

        Ours stays where the old is deleted, nobody knows the old connector, and any host can use it.
        """
        known = {
            each.id
            for each in self.facts.attachments or ()
            if (each.server_id, each.volume_id) == (self.id, volume["volume"])
        }
        if volume["ours"] == volume["old"]:
            return len(known) > 1
        return volume["old"] in known or self.facts.old_connector

    def _attachments(self, volumes: Sequence[Mapping[str, Any]]) -> dict[str, Json]:
        names = ("volume", "mapping", "old", "ours", "device", "multiattach")
        said: list[Json] = [
            {name: each[name] for name in names} | ({"ours": ""} if each["ours"] == each["old"] else {})
            for each in volumes
        ]
        rows: list[Json] = [
            ["block_device_mapping", str(each["mapping"]), "attachment_id", each["ours"], each["old"]]
            for each in volumes
        ]
        return {"near": self.facts.host.name, "volumes": said, "run": self.facts.run, ROWS: rows}

    # -- ports

    def _ports(self) -> Iterator[tuple[str, dict[str, Json]]]:
        """By Neutron where the old host's agent lives, else by the rows; where neither can, they stay."""
        said = self.made("bind-ports") or self.made("rewrite-bindings")
        if said is None or not self._ports_away(said):
            return
        home = self.facts.host.name
        zone = self.record.zone if self.record else ""
        owner = f"compute:{self.facts.host.zone or zone}"
        back: dict[str, Json] = {
            "ports": said["ports"],
            "source": self.facts.target,
            "target": home,
            "owner": owner,
        }
        rows: list[Json] = [["port", str(port), "host", self.facts.target, home] for port in said["ports"]]
        if self.agent_lives and self.facts.ports is not None:
            yield "bind-ports", {**back, ROWS: rows}
        elif self.facts.records.schema.neutron:
            yield (
                "restore-bindings",
                {
                    "near": home,
                    "ports": said["ports"],
                    "source": home,
                    "target": self.facts.target,
                    "run": self.facts.run,
                    ROWS: rows,
                },
            )
            if self.facts.ports is not None:
                yield "tell-neutron", back

    @property
    def agent_lives(self) -> bool:
        return any(each.binds_ports and each.alive for each in self.facts.agents or ())

    def ports_stay(self) -> bool:
        """Whether its ports are on the target, and nothing can bring them back now."""
        said = self.made("bind-ports") or self.made("rewrite-bindings")
        by_api = self.agent_lives and self.facts.ports is not None
        return (
            said is not None
            and self._ports_away(said)
            and not by_api
            and not self.facts.records.schema.neutron
        )

    def _ports_away(self, said: Mapping[str, Any]) -> bool:
        wanted, home = said["ports"], self.facts.host.name
        if self.facts.ports is not None:
            mine = [each for each in self.facts.ports if each.server_id == self.id and each.id in wanted]
            return any(each.host != home or each.vif_type in UNBOUND for each in mine)
        bindings = self.record.bindings if self.record else ()
        return any(
            each.host != home for each in bindings if each.port_id in wanted and each.status == "ACTIVE"
        )

    def _step(self, action: str, params: dict[str, Json], needs: tuple[str, ...]) -> Step:
        return Step(
            id=f"{action}:{self.id}",
            action=action,
            subject_id=self.id,
            subject_name=self.name,
            why=_WHY,
            risk=Risk.FORCE,
            params=params,
            needs=needs,
            expected_seconds=SECONDS[action],
            budget_seconds=BUDGET,
        )


_WHY = "it is put back as it was, where it still is as the run left it"


def _tombstone_row(said: Mapping[str, Any]) -> list[Json]:
    return ["migrations", str(said["tombstone"]["uuid"]), "status", "done", "failed"]


def _back(said: Mapping[str, Any], server_id: str) -> dict[str, Json]:
    row: list[Json] = [
        "placement allocations",
        server_id,
        "provider",
        said["target_host"],
        said["source_host"],
    ]
    return {
        "source": said["target"],
        "target": said["source"],
        "source_host": said["target_host"],
        "target_host": said["source_host"],
        ROWS: [row],
    }


def _findings(facts: UndoFacts, cases: Sequence[_Case]) -> Iterator[Finding]:
    host = facts.host
    stay = [case.name for case in cases if case.ports_stay()]
    if stay:
        hint = f"When its network agent lives again: nodeops audit {host.name} --fix."
        words = (
            f"ports of {', '.join(stay)} stay bound on {facts.target}: nothing can bind them on {host.name}"
        )
        yield Finding(Level.WARNING, "ports-pending", words, hint, host.name)
    words = f"{host.name} stays disabled and forced down: it is as dead as before"
    yield Finding(Level.INFO, "stays-down", words, f"When it is back: nodeops readmit {host.name}", host.name)
    for words in facts.unseen:
        yield Finding(Level.WARNING, "unseen", f"could not be asked: {words}")
