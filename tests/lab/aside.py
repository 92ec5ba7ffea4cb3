"""Servers of one test, on one host, beside whatever else the lab is used for."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from nodeops.lab import hosts
from nodeops.lab.hypervisor.guests import GuestState, GuestStore
from nodeops.lab.hypervisor.places import HostPlace
from tests.lab.bed import Bed, Result

IMAGE_MADE = "s-image"
"""The name of images that tests make of servers."""


@dataclass
class Aside:
    """The last host of the lab, and the servers that a test makes on it."""

    bed: Bed
    host: str
    ids: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, cloud: str = "") -> Result:
        return self.bed.run(*arguments, cloud=cloud)

    def boot(self, *names: str, **more: Any) -> None:
        """Make ACTIVE servers of these names."""
        for name in names:
            self.ids[name] = self.bed.create(name, host=self.host, **more)
        self.bed.until(lambda: all(self.server(name)["status"] == "ACTIVE" for name in names))

    def server(self, name: str) -> dict[str, Any]:
        answer = self.bed.cloud.compute.get(f"/servers/{self.ids[name]}", microversion="2.90")
        return dict(answer.json().get("server") or {"status": "DELETED"})

    def act(self, name: str, **body: Any) -> None:
        """Ask Nova for one of its actions."""
        path = f"/servers/{self.ids[name]}/action"
        self.bed.cloud.compute.post(path, json=body, microversion="2.90").raise_for_status()

    def delete(self, name: str) -> None:
        self.bed.cloud.compute.delete(f"/servers/{self.ids[name]}")
        self.bed.until(lambda: self.server(name)["status"] == "DELETED")

    def set_guest(self, name: str, state: GuestState) -> None:
        """Change what the hypervisor has, behind Nova's back."""
        assert GuestStore(HostPlace(self.bed.root, self.host).guests).set_state(self.ids[name], state)

    def ports(self, address: str) -> list[Any]:
        return list(self.bed.cloud.network.ports(fixed_ips=f"ip_address={address}"))

    def addresses(self, name: str) -> list[str]:
        ports = self.bed.cloud.network.ports(device_id=self.ids[name])
        return [each["ip_address"] for port in ports for each in port.fixed_ips]


@contextmanager
def beside(bed: Bed) -> Iterator[Aside]:
    """Everything that was made is deleted at the end."""
    aside = Aside(bed, hosts.host_names(bed.root)[-1])
    try:
        yield aside
    finally:
        for server_id in aside.ids.values():
            bed.cloud.compute.delete(f"/servers/{server_id}")
        for image in bed.cloud.image.images(name=IMAGE_MADE):
            bed.cloud.image.delete_image(image.id)
        for name in aside.ids:
            bed.until(lambda name=name: aside.server(name)["status"] == "DELETED")  # type: ignore[misc]  # bound now
