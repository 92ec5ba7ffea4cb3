"""`lab populate` against a cloud in memory that does at once what it is asked."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from nodeops.errors import ApiError, UnknownHostError
from nodeops.lab.hypervisor.settings import HostShape, Settings, write_settings
from nodeops.lab.populate import Made, Options, Outcome, choose_host, make_room, populate
from nodeops.lab.population import Policy, Seen, Wanted

STATES = {
    "pause": "PAUSED",
    "os-stop": "SHUTOFF",
    "suspend": "SUSPENDED",
    "rescue": "RESCUE",
    "shelve": "SHELVED",
    "os-resetState": "ERROR",
}


@dataclass
class Memory:
    """A cloud that keeps its servers in memory."""

    held: dict[str, Seen] = field(default_factory=dict)
    up: list[str] = field(default_factory=lambda: ["c01", "c02", "c03"])
    refuses: str = ""
    booted: list[tuple[Wanted, dict[str, Any], str | None]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    broken_volumes: set[str] = field(default_factory=set)

    def servers(self, prefix: str) -> dict[str, Seen]:
        return {name: seen for name, seen in self.held.items() if name.startswith(prefix)}

    def hosts(self) -> list[str]:
        return self.up

    def zone_of(self, host: str) -> str:
        return f"zone-of-{host}"

    def memory_of(self, host: str) -> int:  # noqa: ARG002 - the protocol's
        return 1024 * 1024

    def boot(self, wanted: Wanted, body: dict[str, Any], group: str | None) -> None:
        if wanted.name == self.refuses:
            raise ApiError("POST /servers: 403 quota exceeded", status=403)
        self.booted.append((wanted, body, group))
        self.held[wanted.name] = Seen(
            wanted.name, wanted.name, "ACTIVE", None, wanted.first_host, metadata=wanted.metadata
        )

    def act(self, server_id: str, body: Any) -> None:
        [name] = body
        self.asked.append(f"{name} {server_id}")
        seen = self.held[server_id]
        if name == "lock":
            changed = replace(seen, locked=True)
        elif name == "createImage":
            changed = replace(seen, task="image_uploading")
        elif name == "migrate":
            changed = replace(seen, status="VERIFY_RESIZE", host=body["migrate"]["host"])
        else:
            changed = replace(seen, status=STATES[name])
        self.held[server_id] = changed

    def delete(self, server_id: str) -> None:
        del self.held[server_id]

    def attach(self, server_id: str, volume_id: str) -> None:
        assert volume_id == f"volume-{server_id}"
        self.held[server_id] = replace(self.held[server_id], volumes=1)

    def flavor(self, ram_mb: int) -> str:
        return f"flavor-{ram_mb}"

    def group(self, name: str, policy: Policy) -> str:
        return f"{name} {policy}"

    def image(self) -> str:
        return "image"

    def network(self) -> str:
        return "network"

    def volume(self, name: str, *, bootable: bool, image: str = "") -> tuple[str, str]:  # noqa: ARG002 - likewise
        if name in self.broken_volumes:
            return f"volume-{name}", "error"
        return f"volume-{name}", "available"

    def delete_volume(self, volume_id: str) -> None:
        self.broken_volumes.discard(volume_id.removeprefix("volume-"))


class Clock:
    """A clock that only goes on when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def read(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    large = HostShape("c01", memory_mb=80 * 1024)
    write_settings(tmp_path, Settings(hosts=(large, HostShape("c02"), HostShape("c03"))))
    return tmp_path


def run(cloud: Memory, state_dir: Path) -> dict[str, Made]:
    clock = Clock()
    options = Options(clock=clock.read, wait=clock.wait)
    made = populate(cloud, state_dir, None, options, list[str]().append)
    return {server.wanted.name: server for server in made}


def test_everything_is_made(state_dir: Path) -> None:
    cloud = Memory()
    made = run(cloud, state_dir)
    assert {server.outcome for server in made.values()} == {Outcome.MADE}
    assert {name: seen.status for name, seen in cloud.held.items() if seen.status != "ACTIVE"} == {
        "c01-paused": "PAUSED",
        "c01-shutoff": "SHUTOFF",
        "c01-suspended": "SUSPENDED",
        "c01-rescued": "RESCUE",
        "c01-shelved": "SHELVED",
        "c01-error": "ERROR",
        "c01-verify-resize": "VERIFY_RESIZE",
        "c01-moved-away": "VERIFY_RESIZE",
    }
    assert cloud.held["c01-verify-resize"].host == "c01"
    assert cloud.held["c01-moved-away"].host == "c03"
    assert cloud.asked[-1] == "createImage c01-uploading"


def test_servers_are_booted_from_what_they_need(state_dir: Path) -> None:
    cloud = Memory()
    run(cloud, state_dir)
    booted = {wanted.name: (body, group) for wanted, body, group in cloud.booted}
    assert booted["c01-pinned"][0]["availability_zone"] == "zone-of-c01"
    assert booted["c01-boot-volume"][0]["block_device_mapping_v2"][0]["uuid"] == "volume-c01-boot-volume"
    assert "imageRef" not in booted["c01-boot-volume"][0]
    assert booted["c01-anti-affinity-2"][1] == "c01-anti-affinity anti-affinity"
    assert booted["c01-too-large"][0]["flavorRef"] == f"flavor-{36 * 1024}"
    assert "availability_zone" not in booted["c01-plain-1"][0]


def test_a_second_run_keeps_all(state_dir: Path) -> None:
    cloud = Memory()
    run(cloud, state_dir)
    asked, booted = len(cloud.asked), len(cloud.booted)
    assert {server.outcome for server in run(cloud, state_dir).values()} == {Outcome.KEPT}
    assert (len(cloud.asked), len(cloud.booted)) == (asked, booted)


def test_what_is_missing_is_completed(state_dir: Path) -> None:
    cloud = Memory()
    run(cloud, state_dir)
    del cloud.held["c01-plain-1"]
    cloud.held["c01-paused"] = replace(cloud.held["c01-paused"], status="ACTIVE")
    cloud.held["c01-plain-2"] = replace(cloud.held["c01-plain-2"], host="c02")
    made = run(cloud, state_dir)
    changed = {name: server.outcome for name, server in made.items() if server.outcome is not Outcome.KEPT}
    assert changed == {
        "c01-plain-1": Outcome.MADE,
        "c01-paused": Outcome.COMPLETED,
        "c01-plain-2": Outcome.REMADE,
    }


def test_what_is_refused_is_told_and_the_rest_is_made(state_dir: Path) -> None:
    made = run(Memory(refuses="c01-plain-3"), state_dir)
    failed = [server for server in made.values() if server.outcome is Outcome.FAILED]
    assert [(server.wanted.name, server.reason) for server in failed] == [
        ("c01-plain-3", "POST /servers: 403 quota exceeded")
    ]


def test_the_host_is_the_first_that_is_up() -> None:
    assert choose_host(Memory(), None) == ("c01", ["c02", "c03"])
    assert choose_host(Memory(), "c02") == ("c02", ["c01", "c03"])
    with pytest.raises(UnknownHostError, match="host c09 is not up and enabled"):
        choose_host(Memory(), "c09")
    with pytest.raises(UnknownHostError):
        choose_host(Memory(up=[]), None)


def test_a_host_of_another_lab_is_not_grown(tmp_path: Path) -> None:
    assert make_room(Memory(), tmp_path, "c01", Options(), list[str]().append) == 4096


def test_a_broken_volume_is_told_of_once_and_made_anew(state_dir: Path) -> None:
    cloud = Memory(broken_volumes={"c01-boot-volume"})
    with pytest.raises(ApiError, match=r"c01-boot-volume .* is error, and is removed"):
        run(cloud, state_dir)
    made = run(cloud, state_dir)
    assert made["c01-boot-volume"].outcome is not Outcome.FAILED
