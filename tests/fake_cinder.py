"""Volumes and their attachments: those of the servers, unless something was left behind or made by hand."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nodeops.model.facts import AttachedVolume, Attachment, Server, Volume
from tests.fake_refusal import refuse

if TYPE_CHECKING:
    from tests.fake_nova import FakeNova

ATTACHABLE = frozenset(
    {"active", "stopped", "paused", "suspended", "shelved", "shelved_offloaded", "resized"}
)


@dataclass
class FakeCinder:
    nova: "FakeNova"
    driver: str = "rbd"
    """`driver_volume_type` of every connection."""
    made: dict[str, Attachment] = field(default_factory=dict)
    """Attachments that cannot be told from the servers."""
    gone: set[str] = field(default_factory=set)
    """Attachments that were deleted although Nova still names them."""
    named: dict[tuple[str, str], str] = field(default_factory=dict)
    """(server, volume) -> attachment that Nova's row names, where it is not the first one."""
    devices: dict[tuple[str, str], str] = field(default_factory=dict)
    loose: dict[str, str] = field(default_factory=dict)
    """Volumes that no server needs to have: id -> status without attachments."""
    number: int = 0

    # -- reads

    def attachments(self) -> tuple[Attachment, ...]:
        derived = {each.id: each for each in self._of_servers()} | self.made
        return tuple(each for each in derived.values() if each.id not in self.gone)

    def volumes(self) -> tuple[Volume, ...]:
        ids = {volume for server in self.nova.servers.values() for volume in server.volume_ids}
        ids |= {each.volume_id for each in self.made.values()} | self.loose.keys()
        every: dict[str, list[Attachment]] = {each: [] for each in ids}
        for each in self.attachments():
            every.setdefault(each.volume_id, []).append(each)
        return tuple(self._volume(each, every[each]) for each in sorted(ids))

    def volume(self, volume_id: str) -> Volume | None:
        return next((each for each in self.volumes() if each.id == volume_id), None)

    def volumes_of(self, server_id: str) -> tuple[AttachedVolume, ...]:
        server = self.nova.servers.get(server_id)
        if server is None:
            return ()
        return tuple(
            AttachedVolume(volume, server_id, self._device(server, volume), self.name(server_id, volume))
            for volume in server.volume_ids
        )

    def name(self, server_id: str, volume_id: str) -> str:
        return self.named.get((server_id, volume_id), f"attachment-{volume_id}-{server_id}")

    # -- Cinder's own writes

    def create(
        self, volume_id: str, server_id: str, connector: Mapping[str, Any] | None, device: str
    ) -> tuple[str, Mapping[str, Any]]:
        self.number += 1
        attachment_id = f"new-attachment-{self.number}"
        status, host = ("reserved", None) if connector is None else ("attaching", str(connector["host"]))
        driver = "" if connector is None else self.driver
        self.made[attachment_id] = Attachment(attachment_id, volume_id, server_id, status, host, driver)
        self.nova.arrived.append(("create_attachment", server_id))
        return attachment_id, self._connection(device) if connector is not None else {}

    def connect(self, attachment_id: str, connector: Mapping[str, Any]) -> Mapping[str, Any]:
        mine = self._get(attachment_id)
        others = [each for each in self.attachments() if each.volume_id == mine.volume_id and each != mine]
        if any(each.driver for each in others):
            raise refuse(400, "duplicate connectors detected on volume")
        self.made[attachment_id] = replace(
            mine, status="attaching", host=str(connector["host"]), driver=self.driver
        )
        self.nova.arrived.append(("connect_attachment", mine.server_id))
        return self._connection(str(connector.get("mountpoint", "")))

    def complete(self, attachment_id: str) -> None:
        self.made[attachment_id] = replace(self._get(attachment_id), status="attached")
        self.nova.arrived.append(("complete_attachment", attachment_id))

    def delete(self, attachment_id: str) -> None:
        """`cinder/volume/api.py`, `attachment_deletion_allowed`: not while Nova names a connected one."""
        found = {each.id: each for each in self.attachments()}.get(attachment_id)
        if found is None:
            return
        server = self.nova.servers.get(found.server_id)
        lists = server is not None and found.volume_id in server.volume_ids
        if lists and found.driver and self.name(found.server_id, found.volume_id) == attachment_id:
            raise refuse(409, f"Attachment {attachment_id} is used by nova")
        self._forget(attachment_id)
        self.nova.arrived.append(("delete_attachment", attachment_id))

    # -- Nova's

    def attach(self, server_id: str, volume_id: str, device: str | None) -> None:
        server = self.nova.get(server_id)
        if server.vm_state not in ATTACHABLE:
            raise refuse(409, f"Cannot 'attach_volume' instance {server_id} while it is in {server.vm_state}")
        if self.volume(volume_id) is None:
            raise refuse(404, f"Volume {volume_id} could not be found.")
        if any(each.volume_id == volume_id for each in self.attachments()):
            raise refuse(400, f"Invalid volume: volume {volume_id} status must be available")
        attachment_id, _ = self.create(volume_id, server_id, None, "")
        self.named[server_id, volume_id] = attachment_id
        if device:
            self.devices[server_id, volume_id] = device
        self.nova.servers[server_id] = replace(server, volume_ids=(*server.volume_ids, volume_id))
        self.nova.arrived.append(("attach_volume", server_id))

        def attached() -> None:
            there = self.nova.servers[server_id].host
            self.made[attachment_id] = replace(
                self.made[attachment_id], status="attached", host=there, driver=self.driver
            )

        self.nova.at(self.nova.task_seconds, attached)

    def detach(self, server_id: str, volume_id: str) -> None:
        server = self.nova.get(server_id)
        if volume_id not in server.volume_ids:
            raise refuse(404, f"Instance {server_id} is not attached to volume {volume_id}")
        if self._device(server, volume_id) == (server.root_device or "/dev/vda") and server.boots_from_volume:
            raise refuse(403, "Cannot detach a root device volume")
        if server.vm_state not in ATTACHABLE or server.task_state is not None:
            raise refuse(409, f"Cannot 'detach_volume' instance {server_id} while it is in {server.vm_state}")
        self.nova.arrived.append(("detach_volume", server_id))

        def detached() -> None:
            now = self.nova.servers.get(server_id)
            if now is None:
                return
            self._forget(self.name(server_id, volume_id))
            left = tuple(each for each in now.volume_ids if each != volume_id)
            self.nova.servers[server_id] = replace(now, volume_ids=left)
            self.named.pop((server_id, volume_id), None)
            self.loose[volume_id] = "available"

        self.nova.at(self.nova.task_seconds, detached)

    def freeze(self, server: Server) -> None:
        """Its attachments stay as they are, whatever becomes of the server's row."""
        for each in self._of_server(server):
            self.made.setdefault(each.id, each)

    def moved(self, after: Server) -> None:
        """Nova connects the volumes of a server that it moves to its new host."""
        for volume in after.volume_ids:
            known = self.made.get(self.name(after.id, volume))
            if known is not None and known.driver:
                self.made[known.id] = replace(known, host=after.host)

    # -- inside

    def _volume(self, volume_id: str, every: list[Attachment]) -> Volume:
        attached = tuple(each for each in every if each.status == "attached")
        known = {"attached": "in-use"}
        states = [known.get(each.status, each.status) for each in every]
        status = "in-use" if "in-use" in states else (*states, self.loose.get(volume_id, "available"))[0]
        return Volume(volume_id, status, attachments=attached)

    def _of_servers(self) -> Iterator[Attachment]:
        for server in self.nova.servers.values():
            yield from self._of_server(server)

    def _of_server(self, server: Server) -> Iterator[Attachment]:
        for volume in server.volume_ids:
            name = self.name(server.id, volume)
            if name == f"attachment-{volume}-{server.id}":
                yield Attachment(name, volume, server.id, "attached", server.host, self.driver)

    def _device(self, server: Server, volume_id: str) -> str:
        known = self.devices.get((server.id, volume_id))
        first = 0 if server.boots_from_volume else 1
        return known or f"/dev/vd{chr(ord('a') + first + server.volume_ids.index(volume_id))}"

    def _get(self, attachment_id: str) -> Attachment:
        for each in self.attachments():
            if each.id == attachment_id:
                return each
        raise refuse(
            404, f"Volume attachment could not be found with filter: attachment_id = {attachment_id}."
        )

    def _forget(self, attachment_id: str) -> None:
        self.made.pop(attachment_id, None)
        self.gone.add(attachment_id)

    def _connection(self, device: str) -> Mapping[str, Any]:
        return {"driver_volume_type": self.driver, "name": "volumes/fake", "mountpoint": device}
