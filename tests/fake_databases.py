"""`Records` over `FakeNova`: the rows of the cloud that `FakeWorld` shows through its API.

What the API would do by itself does not happen here: a server whose row is rewritten keeps its allocation,
its port's binding and its attachments where they were.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nodeops.errors import ConfigurationError, RecordsChangedError
from nodeops.model.facts import Migration, Port, PowerState, Server
from nodeops.model.records import (
    AttachmentRewrite,
    BindingRecord,
    BindingRewrite,
    HostRecords,
    Images,
    NodeRecord,
    Schema,
    ServerRecord,
    ServerRewrite,
    TombstoneRecord,
    VolumeRecord,
)
from tests.fake_nova import FakeNova

SCHEMA = Schema(
    "ab450ba04102",
    nova_api="cdeec0c85668",
    neutron=("c7f8d9e0f1a2", "5c85685d616d"),
    releases=("2026.2",),
    has_compute_id=True,
)
CELL = "cell-1"


@dataclass
class FakeRecords:
    nova: FakeNova

    # -- reads

    def schema(self, host: str) -> Schema:
        self._node(host)
        return SCHEMA

    def rights(self, host: str) -> tuple[str, ...]:
        self._node(host)
        return ()

    def host_records(
        self, source: str, target: str | None, server_ids: Sequence[str] | None = None
    ) -> HostRecords:
        servers = self.nova.servers.values()
        wanted = [
            server
            for server in servers
            if (server.host == source if server_ids is None else server.id in server_ids)
        ]
        return HostRecords(
            schema=SCHEMA,
            source=self._node(source),
            target=None if target is None else self._node(target),
            servers=tuple(map(self._server, wanted)),
            tombstones=self.tombstones(source),
        )

    def server_records(
        self, server_ids: Sequence[str], near: str, *, volumes: bool = True, bindings: bool = True
    ) -> Mapping[str, ServerRecord]:
        self._node(near)
        found = [self._server(self.nova.servers[each]) for each in server_ids if each in self.nova.servers]
        return {
            each.id: replace(
                each, volumes=each.volumes if volumes else (), bindings=each.bindings if bindings else ()
            )
            for each in found
        }

    def tombstones(self, source: str, uuids: Sequence[str] | None = None) -> tuple[TombstoneRecord, ...]:
        return tuple(
            TombstoneRecord(m.uuid, m.server_id, m.source, m.target or "", m.status)
            for m in self.nova.migrations
            if m.type == "evacuation" and m.source == source and (uuids is None or m.uuid in uuids)
        )

    def images(self, server_ids: Sequence[str], near: str) -> Mapping[str, Images]:
        self._node(near)
        return {each: self._images(each) for each in server_ids if each in self.nova.servers}

    def connectors(self, host: str) -> tuple[Mapping[str, Any], ...]:
        return ({"host": host, "initiator": f"iqn.2026-11.example:{host}"},)

    def statements(
        self, rewrite: ServerRewrite | BindingRewrite | AttachmentRewrite, near: str
    ) -> tuple[str, ...]:
        self._node(near)
        return (f"UPDATE … -- {type(rewrite).__name__} of {getattr(rewrite, 'server_id', 'a volume')}",)

    # -- writes

    def rewrite_server(self, rewrite: ServerRewrite, near: str) -> None:
        self._node(near)
        server = self._expect(rewrite.server_id, rewrite.expected)
        self._put(server, rewrite.changed)
        said = rewrite.tombstone
        self.nova.migrations.append(
            Migration(
                id=len(self.nova.migrations) + 1,
                uuid=str(said["uuid"]),
                server_id=server.id,
                type="evacuation",
                status=str(said.get("status", "done")),
                source=str(said.get("source_compute", server.host)),
                target=str(said.get("dest_compute", rewrite.changed.get("host"))),
                created=self.nova.stamp(),
                updated=self.nova.stamp(),
            )
        )
        self.nova.arrived.append(("rewrite_server", server.id))

    def rewrite_bindings(self, rewrite: BindingRewrite) -> None:
        neutron = self.nova.neutron
        for port_id in rewrite.port_ids:
            port = neutron.get(port_id)
            if port.host != rewrite.source:
                raise RecordsChangedError(f"port {port_id}: is bound on {port.host}")
            neutron.inactive.discard((port_id, rewrite.target))
            vif_type = "unbound" if rewrite.unbind else port.vif_type
            neutron.keep(replace(port, host=rewrite.target, vif_type=vif_type))
        self.nova.arrived.append(("rewrite_bindings", rewrite.server_id))

    def rewrite_attachment(self, rewrite: AttachmentRewrite, near: str) -> None:
        self._node(near)
        server_id, volume_id = self._mapping(rewrite.mapping_id)
        self._name(server_id, volume_id, rewrite.expected_attachment, rewrite.attachment)
        self.nova.arrived.append(("rewrite_attachment", server_id))

    def restore_server(self, images: Images, rewrite: ServerRewrite, near: str) -> None:
        self._node(near)
        (ours,) = (m for m in self.nova.migrations if m.uuid == rewrite.tombstone["uuid"])
        if ours.status == "completed":
            raise RecordsChangedError(f"server {ours.server_id}: its old host has removed its copy")
        ours_now = {key: value for key, value in rewrite.changed.items() if key in {"host", "node"}}
        server = self._expect(images.server_id, ours_now)
        before = images.tables["instances"][0]
        self._put(server, {key: before[key] for key in rewrite.changed if key in before})
        self.nova.set_migration(ours.id, status="failed")
        self.nova.arrived.append(("restore_server", server.id))

    def restore_bindings(self, images: Images, rewrite: BindingRewrite) -> None:
        rows = {row["port_id"]: row for row in images.tables["ml2_port_bindings"]}
        for port_id in rewrite.port_ids:
            port = self.nova.neutron.get(port_id)
            if port.host != rewrite.target:
                raise RecordsChangedError(f"port {port_id}: is bound on {port.host}")
            row = rows[port_id]
            self.nova.neutron.keep(replace(port, host=row["host"], vif_type=row["vif_type"]))
        self.nova.arrived.append(("restore_bindings", rewrite.server_id))

    def restore_attachment(self, images: Images, rewrite: AttachmentRewrite, near: str) -> None:
        self._node(near)
        server_id, volume_id = self._mapping(rewrite.mapping_id)
        self._name(server_id, volume_id, rewrite.attachment, rewrite.expected_attachment)
        self.nova.arrived.append(("restore_attachment", images.server_id))

    # -- inside

    def _node(self, name: str) -> NodeRecord:
        host = self.nova.hosts.get(name)
        if host is None:
            raise ConfigurationError(f"host {name}: no compute node in the databases")
        return NodeRecord(
            host=name,
            node=host.node or "",
            compute_id=list(self.nova.hosts).index(name) + 1,
            uuid=host.provider_id or "",
            host_ip="192.0.2.1",
            hypervisor_type=host.hypervisor_type,
            cell=CELL,
            service_up=host.enabled and not host.forced_down,
        )

    def _server(self, server: Server) -> ServerRecord:
        return ServerRecord(
            id=server.id,
            name=server.name,
            host=server.host,
            node=server.node,
            compute_id=None if server.host is None else self._node(server.host).compute_id,
            vm_state=server.vm_state,
            task_state=server.task_state,
            power_state=server.power_state,
            zone=server.zone,
            cell=CELL,
            updated_at=server.updated,
            launched=server.launched,
            pinned_zone=server.pinned_zone,
            open_migrations=tuple(self._open(server)),
            volumes=tuple(self._volumes(server)),
            bindings=tuple(
                _binding(port) for port in self.nova.neutron.ports() if port.server_id == server.id
            ),
        )

    def _open(self, server: Server) -> Iterable[str]:
        mine = (m for m in self.nova.migrations if m.server_id == server.id)
        return (f"{m.type} {m.status}" for m in mine if not m.ended)

    def _volumes(self, server: Server) -> Iterable[VolumeRecord]:
        for number, each in enumerate(self.nova.cinder.volumes_of(server.id)):
            yield VolumeRecord(
                mapping_id=self._mapping_id(server.id, each.volume_id),
                server_id=server.id,
                volume_id=each.volume_id,
                attachment_id=each.attachment_id,
                device=each.device,
                boot_index=0 if number == 0 and server.boots_from_volume else None,
                driver=self.nova.cinder.driver,
            )

    def _mappings(self) -> list[tuple[str, str]]:
        every = ((server.id, volume) for server in self.nova.servers.values() for volume in server.volume_ids)
        return sorted(every)

    def _mapping_id(self, server_id: str, volume_id: str) -> int:
        return self._mappings().index((server_id, volume_id)) + 1

    def _mapping(self, mapping_id: int) -> tuple[str, str]:
        return self._mappings()[mapping_id - 1]

    def _name(self, server_id: str, volume_id: str, expected: str, attachment: str) -> None:
        cinder = self.nova.cinder
        if cinder.name(server_id, volume_id) != expected:
            raise RecordsChangedError(f"volume {volume_id} of server {server_id}: has another attachment")
        cinder.freeze(self.nova.servers[server_id])
        cinder.named[server_id, volume_id] = attachment

    def _images(self, server_id: str) -> Images:
        server = self.nova.servers[server_id]
        record = self._server(server)
        row = {
            "uuid": server.id,
            "host": server.host,
            "node": server.node,
            "compute_id": record.compute_id,
            "launched_on": server.host,
            "availability_zone": server.zone,
            "vm_state": server.vm_state,
            "task_state": server.task_state,
            "power_state": int(server.power_state),
            "updated_at": server.updated,
        }
        bindings = [
            {"port_id": each.port_id, "host": each.host, "vif_type": each.vif_type, "status": each.status}
            for each in record.bindings
        ]
        mappings = [
            {"id": each.mapping_id, "volume_id": each.volume_id, "attachment_id": each.attachment_id}
            for each in record.volumes
        ]
        return Images(
            server_id,
            {
                "instances": (row,),
                "ml2_port_bindings": tuple(bindings),
                "block_device_mapping": tuple(mappings),
            },
        )

    def _expect(self, server_id: str, expected: Mapping[str, Any]) -> Server:
        server = self.nova.servers.get(server_id)
        if server is None:
            raise RecordsChangedError(f"server {server_id}: is deleted")
        row = self._images(server_id).tables["instances"][0]
        for column, value in expected.items():
            if row[column] != value:
                raise RecordsChangedError(f"server {server_id}: {column} is {row[column]!r}, not {value!r}")
        return server

    def _put(self, server: Server, changed: Mapping[str, Any]) -> None:
        """Only the row: everything around it stays where it is."""
        nova = self.nova
        held = nova.placement.of(server.id)
        nova.neutron.freeze(server)
        nova.cinder.freeze(server)
        after = replace(
            server,
            host=changed.get("host", server.host),
            node=changed.get("node", server.node),
            zone=changed.get("availability_zone", server.zone),
            vm_state=changed.get("vm_state", server.vm_state),
            task_state=changed.get("task_state", server.task_state),
            power_state=PowerState(changed.get("power_state", server.power_state)),
            updated=nova.stamp(),
        )
        nova.servers[server.id] = after
        nova.placement.keep(server.id, dict(held))
        for port in nova.neutron.ports():
            if port.server_id == server.id:
                nova.neutron.keep(port)


def _binding(port: Port) -> BindingRecord:
    return BindingRecord(
        port_id=port.id,
        server_id=port.server_id,
        host=port.host,
        status="ACTIVE",
        vnic_type=port.vnic_type,
        vif_type=port.vif_type,
        device_owner=port.device_owner,
        levels=1,
    )
