"""Many questions to one program on a host: over a real sshd, and on this machine itself."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodeops.clients.conversation import Conversation, Starter
from nodeops.clients.local_shell import LocalShell, StartedHere
from nodeops.clients.logs import HostLogs
from nodeops.clients.shell import Command, Shell
from nodeops.errors import HostTroubleError, SshError, SshReason
from nodeops.inventory import Place, parse
from nodeops.model.tracing import Found, Wanted
from tests.services.sshd import Server, free_port, running

pytestmark = pytest.mark.services
REQUEST = "req-2f922cba-7d09-4327-8067-e4b8fd5a99ba"
LINE = f"2026-11-21 12:00:00.000 7 INFO nova.compute.manager [None {REQUEST} u p - - d d] WORDS\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("sshd")) as found:
        yield found


@pytest.fixture(params=["far", "here"])
def host(request: pytest.FixtureRequest, server: Server) -> Iterator[Starter]:
    """Each way to a host does the same."""
    if request.param == "here":
        yield LocalShell("c01")
    else:
        with server.shell(sudo=False) as shell:
            yield shell


@pytest.fixture
def talk(host: Starter) -> Iterator[Conversation]:
    with closing(Conversation(host)) as found:
        yield found


def asked(*sources: Path) -> dict[str, object]:
    return {
        "ids": [REQUEST],
        "subjects": [],
        "since": "",
        "until": "",
        "begin": None,
        "end": None,
        "most": 100_000,
        "sources": [str(each) for each in sources],
    }


def pid_of(talk: Conversation) -> int:
    """Of the program, which is a child of this one or of its sshd."""
    marker = str(time.monotonic_ns())
    talk.printed("log-search", asked(Path(f"/nowhere/{marker}")))
    found = [
        int(each.name)
        for each in Path("/proc").iterdir()
        if each.name.isdigit() and b"main.converse" in _command_line(each)
    ]
    return max(found)


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def test_one_program_answers_question_after_question(talk: Conversation, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(LINE.replace("WORDS", "first"))
    (tmp_path / "b.log").write_text(LINE.replace("WORDS", "second"))
    now = talk.ask("clock", {})["now"]
    first = talk.printed("log-search", asked(tmp_path / "a.log")).stdout
    pid = pid_of(talk)
    second = talk.printed("log-search", asked(tmp_path / "b.log")).stdout
    assert abs(now - time.time()) < 60
    assert ("first" in first, "second" in first) == (True, False)
    assert ("first" in second, "second" in second) == (False, True)
    assert pid_of(talk) == pid


def test_much_output_is_read_to_its_end_and_kept_up_to_the_limit(talk: Conversation, tmp_path: Path) -> None:
    line = LINE.replace("WORDS", "x" * 300)
    (tmp_path / "a.log").write_text(line * 20_000)
    whole = talk.printed("log-search", asked(tmp_path / "a.log"))
    short = talk.printed("log-search", asked(tmp_path / "a.log"), most_bytes=1000)
    assert (len(whole.stdout.splitlines()), whole.cut) == (20_001, False)
    assert (whole.stdout.startswith(short.stdout), short.cut) == (True, True)
    assert 900 < len(short.stdout) <= 1000
    assert talk.ask("clock", {})["now"]


def test_a_question_has_its_time_and_the_next_one_is_answered_again(talk: Conversation) -> None:
    with pytest.raises(SshError) as raised:
        talk.ask("clock", {}, seconds=0.0)
    assert raised.value.reason is SshReason.TIMED_OUT
    assert raised.value.message == "c01: nodeops-clock did not end within 0 s"
    assert talk.ask("clock", {})["now"]


def test_a_program_that_fails_is_told_by_its_own_last_words(talk: Conversation) -> None:
    with pytest.raises(SshError, match="c01: KeyError: 'nonsense'"):
        talk.ask("nonsense", {})


def test_what_a_host_refuses_is_told_in_its_words_and_ends_nothing(host: Starter, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with closing(Conversation(host, run=str(tmp_path))) as talk:
        pid = pid_of(talk)
        with pytest.raises(HostTroubleError, match=rf"^c01: {tmp_path} is not safe to use"):
            talk.ask("looks", {})
        assert pid_of(talk) == pid


class Chatty(LocalShell):
    """A host whose login scripts greet."""

    def start(self, command: Command) -> StartedHere:
        greeting = ("sh", "-c", 'echo Welcome; exec "$@"', "sh", sys.executable)
        return super().start(replace(command, argv=(*greeting, *command.argv[1:])))


def test_what_login_scripts_print_is_no_answer() -> None:
    with closing(Conversation(Chatty("c01"))) as talk:
        assert talk.ask("clock", {})["now"]
        assert talk.printed("log-search", asked(Path("/nowhere"))).stdout == "#missing /nowhere\n"


def test_after_the_end_nothing_runs(host: Starter) -> None:
    talk = Conversation(host)
    pid = pid_of(talk)
    talk.close()
    deadline = time.monotonic() + 5
    while (alive := _command_line(Path(f"/proc/{pid}"))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive


def test_a_program_that_is_killed_is_told(talk: Conversation) -> None:
    os.kill(pid_of(talk), signal.SIGKILL)
    with pytest.raises(SshError, match=r"^c01: "):
        talk.ask("clock", {})
    assert talk.ask("clock", {})["now"]


def test_a_server_that_goes_away_is_told(tmp_path: Path) -> None:
    with running(tmp_path) as other, other.shell(sudo=False) as shell, closing(Conversation(shell)) as talk:
        os.kill(_parent(pid_of(talk)), signal.SIGKILL)
        with pytest.raises(SshError) as raised:
            talk.ask("clock", {})
    assert raised.value.reason is SshReason.LOST


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_where_no_one_listens_that_is_told(server: Server) -> None:
    with server.shell(port=free_port()) as shell, pytest.raises(SshError) as raised:
        Conversation(shell).ask("clock", {})
    assert raised.value.reason is SshReason.REFUSED


def test_sudo_that_asks_for_a_password_says_so(server: Server) -> None:
    with server.shell(sudo=True) as shell, pytest.raises(SshError) as raised:
        Conversation(shell).ask("clock", {})
    assert raised.value.reason is SshReason.SUDO


@pytest.fixture
def search(server: Server, tmp_path: Path) -> Callable[..., Found]:
    """In the logs of c01, which is in an inventory."""
    (tmp_path / "nova-compute.log").write_text(LINE.replace("WORDS", "ours"))

    def found(**login: Any) -> Found:
        inventory = parse(f"c01 nodeops_logs={tmp_path}/*.log".encode(), "inventory")

        def shell(_: Place) -> Shell:
            return server.shell(**login)

        with closing(HostLogs(inventory, shell)) as logs:
            first, second = (logs.search("c01", Wanted((REQUEST,))) for _ in range(2))
        assert first == second
        return first

    return found


@pytest.mark.parametrize("sudo", [True, False])
def test_logs_are_searched_with_sudo_and_where_it_is_refused_without(
    search: Callable[..., Found], *, sudo: bool
) -> None:
    found = search(sudo=sudo)
    assert [line.words for line in found.lines] == ["ours"]
    assert found.skew == 0.0


def test_a_host_that_cannot_be_searched_is_told(search: Callable[..., Found]) -> None:
    found = search(port=free_port())
    assert "refuses connections" in found.error
    assert not found.lines


def test_closing_the_logs_ends_a_search(server: Server) -> None:
    (server.folder / "bin" / "docker").write_text("#!/bin/sh\n[ $1 = logs ] && sleep 30\necho there\n")
    (server.folder / "bin" / "docker").chmod(0o755)
    logs = HostLogs(parse(b"c01 nodeops_logs=docker:slow", "inventory"), lambda _: server.shell(sudo=False))
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(logs.search, "c01", Wanted((REQUEST,)))
        with pytest.raises(TimeoutError):
            found.result(3.0)
        logs.close()
        begun = time.monotonic()
        wait([found], 20.0)
        assert found.done()
        assert time.monotonic() - begun < 10
