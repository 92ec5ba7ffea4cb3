"""What is asked of Nova. Every call returns Nova's request id; none is repeated."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from nodeops.clients.wire import Service, Write

CHANGES = "2.93"
"""All calls here exist since then; newer ones change nothing about them."""


@dataclass
class ComputeChanges:
    service: Service

    def disable(self, service_id: str, reason: str) -> str:
        body = {"status": "disabled", "disabled_reason": reason}
        return self._send("PUT", f"os-services/{quote(service_id)}", f"disable of service {service_id}", body)

    def enable(self, service_id: str) -> str:
        body = {"status": "enabled"}
        return self._send("PUT", f"os-services/{quote(service_id)}", f"enable of service {service_id}", body)

    def live_migrate(self, server_id: str, target: str | None, *, block: bool | None = None) -> str:
        """Nova answers before it checked the target (2.34): a refusal shows in the migration only."""
        body = {"host": target, "block_migration": "auto" if block is None else block}
        return self._act(server_id, "os-migrateLive", body, "live migration")

    def cold_migrate(self, server_id: str, target: str | None) -> str:
        return self._act(server_id, "migrate", {"host": target} if target else None, "cold migration")

    def confirm_resize(self, server_id: str) -> str:
        return self._act(server_id, "confirmResize", None, "confirmation of the resize")

    def abort_migration(self, server_id: str, migration_id: int) -> str:
        path = f"servers/{quote(server_id)}/migrations/{migration_id}"
        return self._send("DELETE", path, f"abort of migration {migration_id} of server {server_id}")

    def force_complete_migration(self, server_id: str, migration_id: int) -> str:
        path = f"servers/{quote(server_id)}/migrations/{migration_id}/action"
        subject = f"force-complete of migration {migration_id} of server {server_id}"
        return self._send("POST", path, subject, {"force_complete": None})

    def stop(self, server_id: str) -> str:
        return self._act(server_id, "os-stop", None, "stop")

    def start(self, server_id: str) -> str:
        return self._act(server_id, "os-start", None, "start")

    def pause(self, server_id: str) -> str:
        return self._act(server_id, "pause", None, "pause")

    def unpause(self, server_id: str) -> str:
        return self._act(server_id, "unpause", None, "unpause")

    def suspend(self, server_id: str) -> str:
        return self._act(server_id, "suspend", None, "suspend")

    def resume(self, server_id: str) -> str:
        return self._act(server_id, "resume", None, "resume")

    def lock(self, server_id: str, reason: str) -> str:
        return self._act(server_id, "lock", {"locked_reason": reason}, "lock")

    def unlock(self, server_id: str) -> str:
        return self._act(server_id, "unlock", None, "unlock")

    def rescue(self, server_id: str) -> str:
        return self._act(server_id, "rescue", None, "rescue")

    def unrescue(self, server_id: str) -> str:
        return self._act(server_id, "unrescue", None, "unrescue")

    def shelve(self, server_id: str) -> str:
        return self._act(server_id, "shelve", None, "shelve")

    def shelve_offload(self, server_id: str) -> str:
        return self._act(server_id, "shelveOffload", None, "shelve-offload")

    def unshelve(self, server_id: str, target: str | None) -> str:
        return self._act(server_id, "unshelve", {"host": target} if target else None, "unshelve")

    def reset_state(self, server_id: str, state: str) -> str:
        return self._act(server_id, "os-resetState", {"state": state}, f"reset of the state to {state}")

    def delete(self, server_id: str) -> str:
        return self._send("DELETE", f"servers/{quote(server_id)}", f"deletion of server {server_id}")

    def force_down(self, service_id: str, *, forced: bool) -> str:
        """`nova/api/openstack/compute/services.py`, `_forced_down`."""
        words = "force-down" if forced else "lifting of force-down"
        path, subject = f"os-services/{quote(service_id)}", f"{words} of service {service_id}"
        return self._send("PUT", path, subject, {"forced_down": forced})

    def evacuate(self, server_id: str, target: str | None) -> str:
        """From 2.95 on every server would be left stopped; the scheduler checks a target that is named."""
        return self._act(server_id, "evacuate", {"host": target} if target else {}, "evacuation")

    def reboot_hard(self, server_id: str) -> str:
        return self._act(server_id, "reboot", {"type": "HARD"}, "hard reboot")

    def attach_volume(
        self,
        server_id: str,
        volume_id: str,
        device: str | None,
        *,
        tag: str = "",
        delete_on_termination: bool = False,
    ) -> str:
        """The hypervisor may choose another device name; libvirt keeps to the order of the bus."""
        body: dict[str, Any] = {"volumeId": volume_id, "delete_on_termination": delete_on_termination}
        body |= ({"device": device} if device else {}) | ({"tag": tag} if tag else {})
        path = f"servers/{quote(server_id)}/os-volume_attachments"
        subject = f"attaching of volume {volume_id} to server {server_id}"
        return self._send("POST", path, subject, {"volumeAttachment": body})

    def detach_volume(self, server_id: str, volume_id: str) -> str:
        """A root volume is refused with 400 (`nova/api/openstack/compute/volume_attachments.py`)."""
        path = f"servers/{quote(server_id)}/os-volume_attachments/{quote(volume_id)}"
        return self._send("DELETE", path, f"detaching of volume {volume_id} from server {server_id}")

    def _act(self, server_id: str, action: str, body: Any, words: str) -> str:
        path = f"servers/{quote(server_id)}/action"
        return self._send("POST", path, f"{words} of server {server_id}", {action: body})

    def _send(self, method: Write, path: str, subject: str, body: Any = None) -> str:
        answer = self.service.write(method, path, subject=subject, body=body, microversion=CHANGES)
        return answer.request_id
