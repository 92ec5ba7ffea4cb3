"""Servers that are followed, on the wire: what is asked, and how few calls it takes."""

from typing import Any

import pytest

from nodeops.clients.cloud import Cloud
from nodeops.clients.server_states import ServerStates
from nodeops.errors import UnknownServerError
from tests.unit.clients.answers import Reply, Script

VERSION = Reply(body={"version": {"id": "v2.1", "version": "2.104", "min_version": "2.1"}})
ID = "6b6c2d3e-0000-4000-8000-000000000001"


def body(**more: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "name": "web (1)",
        "status": "ACTIVE",
        "OS-EXT-STS:vm_state": "active",
        "OS-EXT-STS:task_state": None,
        "OS-EXT-STS:power_state": 1,
        "OS-EXT-SRV-ATTR:host": "c01",
        **more,
    }


def test_a_name_is_matched_exactly_and_as_no_pattern(cloud: Cloud, script: Script) -> None:
    script.reply(VERSION, Reply(body={"servers": [body(), body(name="web (1)b", id="other")]}))
    (found,) = ServerStates(cloud).named(["web (1)"])
    assert found.server.id == ID
    assert script.asked[-1].query["name"] == [r"^web \(1\)$"]
    assert script.asked[-1].query["all_tenants"] == ["1"]


def test_a_name_of_none_or_of_several_is_told(cloud: Cloud, script: Script) -> None:
    script.reply(VERSION, Reply(body={"servers": []}))
    with pytest.raises(UnknownServerError, match="no server has this name"):
        ServerStates(cloud).named(["db"])
    script.reply(Reply(body={"servers": [body(), body(id="other")]}))
    with pytest.raises(UnknownServerError, match="2 servers have this name") as raised:
        ServerStates(cloud).named(["web (1)"])
    assert "other" in raised.value.hint


def test_an_id_is_one_read_and_404_is_told(cloud: Cloud, script: Script) -> None:
    script.reply(VERSION, Reply(body={"server": body()}), Reply(404))
    assert ServerStates(cloud).named([ID])[0].server.name == "web (1)"
    with pytest.raises(UnknownServerError, match="does not exist"):
        ServerStates(cloud).named([ID])


def test_what_changed_is_one_call_with_the_deleted(cloud: Cloud, script: Script) -> None:
    moving = body(progress=40, **{"OS-EXT-STS:task_state": "migrating"})
    gone = body(id="gone", status="DELETED", **{"OS-EXT-STS:vm_state": "deleted"})
    script.reply(VERSION, Reply(body={"servers": [moving, gone]}))
    first, second = ServerStates(cloud).changed(1_795_000_000.0)
    assert (first.percent, first.gone) == (40, False)
    assert second.gone
    assert script.asked[-1].query["changes-since"] == ["2026-11-18T11:06:40Z"]
    assert len(script.asked) == 2


def test_a_figure_that_an_old_move_left_is_not_told(cloud: Cloud, script: Script) -> None:
    script.reply(VERSION, Reply(body={"servers": [body(progress=99)]}))
    assert ServerStates(cloud).changed(0.0)[0].percent is None


def test_images_that_are_being_made_name_their_server(cloud: Cloud, script: Script) -> None:
    images = [
        {"id": "i1", "name": "backup", "status": "saving", "instance_uuid": ID},
        {"id": "i2", "name": "someone's upload", "status": "saving"},
    ]
    script.reply(Reply(body={"images": images}))
    (found,) = ServerStates(cloud).images()
    assert (found.server_id, found.name, found.status) == (ID, "backup", "saving")


def test_names_for_completion(cloud: Cloud, script: Script) -> None:
    script.reply(VERSION, Reply(body={"servers": [{"name": "web2"}, {"name": "web1"}, {"name": "WEB3"}]}))
    assert ServerStates(cloud).names("web") == ["web1", "web2"]
