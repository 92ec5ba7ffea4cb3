"""nodeops reads an inventory as Ansible does: the corpus against what `record.py` saw Ansible make of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from nodeops.errors import ConfigurationError
from nodeops.inventory import ini

CORPUS = Path(__file__).parent / "corpus"
RECORDED = json.loads((CORPUS / "expected.json").read_text())


def seen(path: Path) -> dict[str, Any] | None:
    try:
        document = ini.parse(path.read_text().splitlines(), path.name)
    except ConfigurationError:
        return None
    hosts = {
        host: {name: value.value for name, value in document.variables(host).items()}
        for host in document.hosts
    }
    members: dict[str, list[str]] = {}
    for host in sorted(hosts):
        for group in document.groups_of(host):
            members.setdefault(group.name, []).append(host)
    return {"hosts": hosts, "groups": members}


@pytest.mark.parametrize("name", sorted(path.name for path in CORPUS.glob("*.ini")))
def test_corpus(name: str) -> None:
    assert seen(CORPUS / name) == RECORDED["cases"][name]


def test_the_recording_is_of_ansible_and_of_every_file() -> None:
    assert RECORDED["version"].startswith("ansible-inventory [core 2.19")
    assert set(RECORDED["cases"]) == {path.name for path in CORPUS.glob("*.ini")}


def test_what_ansible_refuses_is_refused() -> None:
    refused = {name for name, case in RECORDED["cases"].items() if case is None}
    assert refused == {name for name in RECORDED["cases"] if name.startswith("bad-")}
