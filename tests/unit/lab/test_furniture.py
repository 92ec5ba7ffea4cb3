"""Which zone a simulated host gets, and when the image is made."""

import io
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import IO, Any

import pytest

from nodeops.lab.furniture import IMAGE, make_image, share_out


def test_the_first_half_is_the_first_zone() -> None:
    assert share_out({"az1": [], "az2": []}, ["c01", "c02", "c03"]) == {
        "az1": ["c01", "c02"],
        "az2": ["c03"],
    }


def test_hosts_that_have_a_zone_keep_it_when_the_lab_grows() -> None:
    members = {"az1": ["c01", "c02"], "az2": ["c03"]}
    grown = share_out(members, ["c01", "c02", "c03", "c04", "c05", "c06"])
    assert grown == {"az1": ["c05"], "az2": ["c04", "c06"]}


def test_nothing_is_moved_when_nothing_is_new() -> None:
    members = {"az1": ["c02", "c01"], "az2": ["c03"]}
    assert share_out(members, ["c01", "c02", "c03"]) == {"az1": [], "az2": []}


@dataclass
class Images:
    """What the image service holds: status by id."""

    held: dict[str, str] = field(default_factory=dict)
    uploaded: dict[str, bytes] = field(default_factory=dict)

    def find_image(self, name: str) -> Any:
        assert name == IMAGE
        return next((SimpleNamespace(id=key, status=status) for key, status in self.held.items()), None)

    def delete_image(self, image: Any) -> None:
        del self.held[image.id]

    def create_image(self, **said: Any) -> Any:
        assert (said["name"], said["disk_format"], said["os_type"]) == (IMAGE, "raw", "linux")
        self.held["new"] = "queued"
        return SimpleNamespace(id="new")

    def put(self, path: str, data: IO[bytes], headers: dict[str, str]) -> Any:
        assert headers["Content-Type"] == "application/octet-stream"
        self.uploaded[path] = data.read()
        return SimpleNamespace(raise_for_status=lambda: None)


@pytest.mark.parametrize(
    ("held", "made"), [({}, True), ({"half": "saving"}, True), ({"whole": "active"}, False)]
)
def test_an_image_that_is_not_whole_is_made_anew(held: dict[str, str], *, made: bool) -> None:
    images = Images(dict(held))
    make_image(SimpleNamespace(image=images), io.BytesIO(b"disk"), "raw", os_type="linux")
    assert images.uploaded == ({"/images/new/file": b"disk"} if made else {})
    assert set(images.held) == ({"new"} if made else set(held))
