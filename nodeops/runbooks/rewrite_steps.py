"""The steps of a rewrite of one server, each with the rows it changes: table, key, column, before, after."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast
from uuid import NAMESPACE_URL, uuid5

from nodeops.actions.bind_ports import UNBOUND
from nodeops.model.facts import PowerState, Server
from nodeops.model.records import BindingRecord, ServerRecord, VolumeRecord
from nodeops.model.rewriting import ROWS
from nodeops.plan import Json, Risk, Step
from nodeops.runbooks.options import cloud_key
from nodeops.runbooks.rewrite_scene import RUNS_AGAIN, RewriteScene

SECONDS: Mapping[str, float] = {
    "rewrite-allocation": 0.3,
    "rewrite-records": 0.2,
    "rewrite-bindings": 0.2,
    "bind-ports": 1.0,
    "renew-attachments": 3.0,
    "reboot-hard": 15.0,
}
BUDGET = 120.0
REBOOT_BUDGET = 600.0
DONE = "done"
EVACUATION = "evacuation"

Row: TypeAlias = list[Json]


def steps_of(
    scene: RewriteScene, server: Server, record: ServerRecord, needs: tuple[str, ...]
) -> tuple[Step, ...]:
    """Everything that takes it to the target, in the order of writing."""
    make = _Maker(scene, server, needs)
    bindings = scene.bindings(record)
    volumes = scene.renewed(record)
    make("rewrite-allocation", "placement counts it where it will be", _allocation(scene, server))
    why = "nova has it on the target, and the dead host removes its copy when it comes back"
    make("rewrite-records", why, _records(scene, server, record), gates=("source-silent",))
    if bindings and scene.options.bindings.in_database:
        make("rewrite-bindings", "its ports' rows go with it", _bindings(scene, bindings))
    if bindings and scene.options.bindings.by_api:
        make("bind-ports", "neutron binds them anew, and tells agents and routers", _ports(scene, bindings))
    if volumes:
        make(
            "renew-attachments",
            "the storage lets the target in, and the dead host out",
            _volumes(scene, volumes),
        )
    if record.vm_state in RUNS_AGAIN:
        make("reboot-hard", "its guest is started on the target", _reboot(scene, server), moves=True)
    return tuple(make.steps)


def rest_of(scene: RewriteScene, server: Server, record: ServerRecord) -> tuple[Step, ...]:
    """What an earlier part of the run has planned for it and what is seen not to be done."""
    mine = [step for step in scene.facts.earlier.values() if step.subject_id == server.id]
    return tuple(step for step in mine if _is_open(scene, server, record, step))


class _Maker:
    """Makes steps that each need the one before."""

    def __init__(self, scene: RewriteScene, server: Server, needs: tuple[str, ...]) -> None:
        self.steps: list[Step] = []
        self._scene = scene
        self._server = server
        self._needs = needs

    def __call__(
        self,
        action: str,
        why: str,
        params: dict[str, Json],
        *,
        gates: tuple[str, ...] = (),
        moves: bool = False,
    ) -> None:
        rank = self._scene.rank(self._server)
        step = Step(
            id=f"{action}:{self._server.id}",
            action=action,
            subject_id=self._server.id,
            subject_name=self._server.name,
            why=why,
            risk=Risk.FORCE,
            params=params | ({"rank": rank} if rank else {}),
            needs=self._needs,
            gates=("target-serves",) if moves else gates,
            source=self._scene.source.host if moves else None,
            target=self._scene.target.host if moves else None,
            expected_seconds=SECONDS[action],
            budget_seconds=REBOOT_BUDGET if moves else BUDGET,
        )
        self.steps.append(step)
        self._needs = (step.id,)


# -- what each step says


def _allocation(scene: RewriteScene, server: Server) -> dict[str, Json]:
    source, target = scene.source, scene.target
    held = scene.held(server.id).get(source.uuid, {})
    amounts = ", ".join(f"{name} {amount}" for name, amount in sorted(held.items()))
    row: Row = ["placement allocations", server.id, amounts, source.host, target.host]
    return {
        "source": source.uuid,
        "target": target.uuid,
        "source_host": source.host,
        "target_host": target.host,
        ROWS: [row],
    }


def _records(scene: RewriteScene, server: Server, record: ServerRecord) -> dict[str, Json]:
    source, target, schema = scene.source, scene.target, scene.facts.records.schema
    expected: dict[str, Json] = {
        "host": source.host,
        "node": source.node,
        "vm_state": record.vm_state,
        "task_state": record.task_state,
    }
    if record.updated_at:
        expected["updated_at"] = record.updated_at
    changed: dict[str, Json] = {
        "host": target.host,
        "node": target.node,
        "launched_on": target.host,
        "availability_zone": scene.facts.target.zone,
        "task_state": None,
    }
    if schema.has_compute_id:
        changed["compute_id"] = target.compute_id
    if record.vm_state in RUNS_AGAIN:
        changed["power_state"] = int(PowerState.NOSTATE)
    tombstone = _tombstone(scene, server, record)
    before = {
        "host": record.host,
        "node": record.node,
        "compute_id": record.compute_id,
        "availability_zone": record.zone,
        "task_state": record.task_state,
        "power_state": record.power_state,
    }
    rows: list[Json] = [
        ["instances", server.id, name, before.get(name, "as it is"), value]
        for name, value in changed.items()
        if name not in before or before[name] != value
    ]
    words = f"{EVACUATION} {source.host} to {target.host}, {DONE}"
    rows.append(["migrations", str(tombstone["uuid"]), "new row", None, words])
    rows.append(["console_auth_tokens", server.id, "rows", f"those of {source.host}", "deleted"])
    return {
        "near": source.host,
        "expected": expected,
        "changed": changed,
        "tombstone": tombstone,
        ROWS: rows,
    }


def _tombstone(scene: RewriteScene, server: Server, record: ServerRecord) -> dict[str, Json]:
    """Its uuid is of the row as it was: planned again it is the same, after an undo another."""
    source, target = scene.source, scene.target
    name = f"{cloud_key(scene.facts.identity)} {server.id} {source.host} {target.host} {record.updated_at}"
    found: dict[str, Json] = {
        "uuid": str(uuid5(NAMESPACE_URL, name)),
        "instance_uuid": server.id,
        "migration_type": EVACUATION,
        "status": DONE,
        "source_compute": source.host,
        "source_node": source.node,
        "dest_compute": target.host,
        "dest_node": target.node,
        "dest_host": target.host_ip,
        "hidden": False,
        "cross_cell_move": False,
    }
    return found | (
        {"dest_compute_id": target.compute_id} if scene.facts.records.schema.has_compute_id else {}
    )


def _bindings(scene: RewriteScene, bindings: Sequence[BindingRecord]) -> dict[str, Json]:
    source, target, unbind = scene.source.host, scene.target.host, scene.options.bindings.by_api
    rows: list[Json] = []
    for binding in bindings:
        rows.append(["ml2_port_bindings", binding.port_id, "host", binding.host, target])
        if unbind:
            rows.append(["ml2_port_bindings", binding.port_id, "vif_type", binding.vif_type, "unbound"])
        levels = f"{binding.host} ({binding.levels})"
        rows.append(["ml2_port_binding_levels", binding.port_id, "host", levels, target])
    return {
        "near": source,
        "ports": _ids(bindings),
        "source": source,
        "target": target,
        "unbind": unbind,
        ROWS: rows,
    }


def _ports(scene: RewriteScene, bindings: Sequence[BindingRecord]) -> dict[str, Json]:
    source, target = scene.source.host, scene.target.host
    rows: list[Json] = [
        ["neutron port", each.port_id, "binding:host_id", source, target] for each in bindings
    ]
    return {
        "ports": _ids(bindings),
        "source": source,
        "target": target,
        "owner": f"compute:{scene.facts.target.zone}",
        ROWS: rows,
    }


def _ids(bindings: Iterable[BindingRecord]) -> list[Json]:
    return [each.port_id for each in sorted(bindings, key=lambda each: each.port_id)]


def _volumes(scene: RewriteScene, volumes: Sequence[VolumeRecord]) -> dict[str, Json]:
    said: list[Json] = [
        {
            "volume": each.volume_id,
            "mapping": each.mapping_id,
            "old": each.attachment_id,
            "device": each.device,
            "multiattach": each.multiattach,
        }
        for each in volumes
    ]
    rows: list[Json] = []
    for each in volumes:
        new = f"new, for {scene.target.host}"
        rows.append(["block_device_mapping", str(each.mapping_id), "attachment_id", each.attachment_id, new])
        rows.append(["cinder attachment", each.attachment_id, each.volume_id, scene.source.host, "deleted"])
    connector = dict(scene.facts.connector or {})
    return {"near": scene.source.host, "volumes": said, "connector": connector, ROWS: rows}


def _reboot(scene: RewriteScene, server: Server) -> dict[str, Json]:
    return {ROWS: [["nova server", server.id, "reboot hard", "off", f"runs on {scene.target.host}"]]}


# -- what is left of a rewrite that was begun


def _is_open(scene: RewriteScene, server: Server, record: ServerRecord, step: Step) -> bool:
    look: Callable[[RewriteScene, Server, ServerRecord, Mapping[str, Any]], bool] | None = _OPEN.get(
        step.action
    )
    return look is not None and look(scene, server, record, step.params)


def _allocation_open(scene: RewriteScene, server: Server, _: ServerRecord, said: Mapping[str, Any]) -> bool:
    return scene.facts.held is None or said["target"] not in scene.held(server.id)


def _bindings_open(scene: RewriteScene, _: Server, record: ServerRecord, said: Mapping[str, Any]) -> bool:
    return any(each.host == said["source"] for each in _mine(scene, record, said))


def _ports_open(scene: RewriteScene, server: Server, _: ServerRecord, said: Mapping[str, Any]) -> bool:
    if scene.facts.ports is None:
        return True
    ports = [each for each in scene.api_ports.get(server.id, ()) if each.id in said["ports"]]
    return any(each.host != said["target"] or each.vif_type in UNBOUND for each in ports)


def _volumes_open(scene: RewriteScene, server: Server, record: ServerRecord, said: Mapping[str, Any]) -> bool:
    if scene.facts.attachments is None:
        return True
    current = {each.mapping_id: each.attachment_id for each in record.volumes}
    for each in cast("Sequence[Mapping[str, Any]]", said["volumes"]):
        known = scene.attachments.get((server.id, each["volume"]), ())
        settled = [one.id for one in known] == [current.get(each["mapping"])] and known[
            0
        ].status == "attached"
        if current.get(each["mapping"]) == each["old"] or not settled:
            return True
    return False


def _reboot_open(_: RewriteScene, server: Server, __: ServerRecord, ___: Mapping[str, Any]) -> bool:
    return not (server.vm_state == "active" and server.power_state == PowerState.RUNNING)


def _mine(scene: RewriteScene, record: ServerRecord, said: Mapping[str, Any]) -> Iterator[BindingRecord]:
    return (each for each in scene.bindings(record) if each.port_id in said["ports"])


_OPEN: Mapping[str, Callable[[RewriteScene, Server, ServerRecord, Mapping[str, Any]], bool]] = {
    "rewrite-allocation": _allocation_open,
    "rewrite-bindings": _bindings_open,
    "bind-ports": _ports_open,
    "renew-attachments": _volumes_open,
    "reboot-hard": _reboot_open,
}
"""By action: whether it is still to be made. A row that names the target was rewritten."""
