"""Hosts, servers and runs as they are shown."""

import io
import json

import pytest
from rich.console import RenderableType

from nodeops.model.facts import Flavor, Host, Resource, Server
from nodeops.outcome import StepResult, StepState
from nodeops.report.console import console
from nodeops.report.status_view import (
    RunLine,
    host_document,
    hosts_markdown,
    hosts_table,
    run_line_document,
    runs_table,
    server_document,
    servers_markdown,
    servers_table,
    state_of,
    steps_table,
)

UP = Host(
    "c01",
    "1",
    zone="az1",
    resources={"VCPU": Resource(16, 31), "MEMORY_MB": Resource(61440, 57344)},
    servers=27,
)
AWAY = Host("c02", "2", enabled=False, up=False, disabled_reason="nodeops d-1 by op@desk: drain")
SERVER = Server(
    id="5f1e",
    name="web-1",
    host="c01",
    node="c01",
    status="ACTIVE",
    vm_state="active",
    task_state="migrating",
    power_state=1,
    flavor=Flavor("m1", 2, 4096, 20),
    locked=True,
    image_id="image",
)
RUN = RunLine(
    "d-1",
    "drain",
    "c01",
    "http://k RegionOne",
    "finished",
    1e9,
    1e9 + 65,
    "op@desk",
    "nodeops drain c01",
    11,
    "",
)


def text_of(view: RenderableType, width: int = 120) -> str:
    out = console(io.StringIO(), width=width)
    out.print(view)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (UP, "up"),
        (AWAY, "down, disabled"),
        (Host("c", "1", enabled=False), "disabled"),
        (Host("c", "1", forced_down=True, up=False), "forced down"),
    ],
)
def test_a_host_s_state_in_words(host: Host, words: str) -> None:
    assert state_of(host) == words


@pytest.mark.parametrize("width", [80, 160])
def test_hosts(width: int) -> None:
    text = text_of(hosts_table([UP, AWAY], width), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "56 of 60 GiB" in text
    assert "31 of 16" in text
    assert "nodeops d-1" in text


def test_servers() -> None:
    text = text_of(servers_table([SERVER], 80), 80)
    assert "migrating" in text
    assert "locked" in text
    assert "20 GiB" in text


def test_documents_are_json() -> None:
    host, server, run = host_document(UP), server_document(SERVER), run_line_document(RUN)
    assert json.loads(json.dumps([host, server, run])) == [host, server, run]
    assert host["resources"]["MEMORY_MB"]["free"] == 4096
    assert host_document(AWAY)["disabled_reason"] == "nodeops d-1 by op@desk: drain"
    assert server["local_disk_gb"] == 20


def test_markdown() -> None:
    assert "| c02 |" in hosts_markdown([UP, AWAY])
    assert "| web-1 | 5f1e | ACTIVE | migrating | 4 GiB |" in servers_markdown([SERVER])


def test_runs() -> None:
    text = text_of(runs_table([RUN]))
    assert "1 min 05 s" in text
    assert text.rstrip().endswith("11")


def test_steps_of_a_run_that_was_killed() -> None:
    results = [
        StepResult("live-migrate:5f1e", "5f1e", "live-migrate", StepState.SENT, target="c02"),
        StepResult("disable-service:c01", "c01", "disable-service", StepState.DONE),
    ]
    text = text_of(steps_table(results, {"5f1e": "web-1"}))
    assert "web-1" in text
    assert "sent" in text
    assert "disable-service" in text
