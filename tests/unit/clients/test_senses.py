"""What is asked of hosts themselves, on loopback."""

import socket
from pathlib import Path

import pytest

from nodeops.clients.senses import HostSenses
from nodeops.clients.shell import Shell, login_of
from nodeops.errors import ConfigurationError
from nodeops.inventory import Inventory, Place, parse
from nodeops.model.senses import PowerAction, Word


def senses(line: str) -> HostSenses:
    return HostSenses(parse(f"c01 {line}".encode(), "inventory"), quick)


def quick(place: Place) -> Shell:
    return Shell(login_of(place), connect_seconds=1.0, home=Path("/nowhere"))


def hook(tmp_path: Path, body: str) -> HostSenses:
    path = tmp_path / "is-alive"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return senses(f"nodeops_inquest_command='{path} {{host}}'")


def test_a_host_of_this_machine_answers_a_ping() -> None:
    assert senses("ansible_host=127.0.0.1").ping("c01").answered


def test_a_name_that_does_not_exist_is_no_answer() -> None:
    heard = senses("ansible_host=c01.invalid")
    assert not heard.ping("c01").answered
    assert "no known name" in heard.ping("c01").words
    assert not heard.ssh("c01").answered


def test_a_refused_connection_is_an_answer() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        heard = senses(f"ansible_host=127.0.0.1 ansible_port={taken.getsockname()[1]}").ssh("c01")
    assert heard.answered
    assert "refuses" in heard.words


def test_a_jump_host_that_refuses_says_nothing_of_the_host() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        heard = senses(f"ansible_host=127.0.0.2 nodeops_ssh_jump=127.0.0.1:{port}").ssh("c01")
    assert not heard.answered


def test_guests_are_asked_of_hosts_in_the_inventory_only() -> None:
    assert HostSenses(Inventory(), quick).guests("c01") is None
    guests = senses("ansible_host=c01.invalid").guests("c01")
    assert guests is not None
    assert guests.running is None


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("exit 0", Word.ALIVE),
        ("echo dead; exit 1", Word.DEAD),
        ("echo 'c01 is DEAD since 10:00'; exit 1", Word.DEAD),
        ("echo 'Traceback: no module' >&2; exit 1", Word.CANNOT_TELL),
        ("echo dead; exit 2", Word.CANNOT_TELL),
        ("kill -9 $$", Word.CANNOT_TELL),
    ],
)
def test_the_site_s_command(tmp_path: Path, body: str, word: Word) -> None:
    said = hook(tmp_path, body).hook("c01")
    assert said is not None
    assert said.word is word


def test_what_is_not_configured_is_not_asked() -> None:
    bare = senses("")
    assert bare.power("c01") is None
    assert bare.hook("c01") is None
    with pytest.raises(ConfigurationError, match="no fence command"):
        bare.switch("c01", PowerAction.OFF)
