"""Commands over SSH, against a real sshd on loopback."""

import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, Thread, active_count

import pytest

from nodeops.clients.shell import Answer, Command, Shell, login_of, on_each
from nodeops.errors import SshError, SshReason
from nodeops.inventory import parse
from tests.services.sshd import Server, free_port, make_key, running

pytestmark = pytest.mark.services
TRUE = Command(("true",))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("sshd")) as found:
        yield found


def ask(shell: Shell, *argv: str, **more: object) -> Answer:
    with shell:
        return shell.run(Command(argv, **more))  # type: ignore[arg-type]  # fields of Command


def trouble(shell: Shell, command: Command = TRUE) -> SshError:
    with shell, pytest.raises(SshError) as raised:
        shell.run(command)
    assert raised.value.hint
    assert raised.value.exit_code == 21
    assert raised.value.message.startswith(("c01: ", "jump host "))
    return raised.value


def test_output_and_exit_code_come_back(server: Server) -> None:
    answer = ask(server.shell(), "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (answer.status, answer.stdout, answer.stderr) == (7, "out\n", "err\n")
    assert not answer.ok
    assert not answer.cut


@pytest.mark.parametrize(
    "argument",
    ["two words", "it's", '"quoted"', "$HOME `id` $(id)", "a;b|c&d>e", "-n", "*", "line\nbreak", "", "é"],
)
def test_arguments_arrive_as_they_are(server: Server, argument: str) -> None:
    assert ask(server.shell(), "printf", "%s", argument).stdout == argument


def test_one_connection_serves_many_commands_and_standard_input(server: Server) -> None:
    with server.shell() as shell:
        answers = [shell.run(Command(("cat",), stdin=word)) for word in (b"one", b"two", b"x" * 300_000)]
    assert [len(answer.stdout) for answer in answers] == [3, 3, 300_000]


def test_much_output_is_read_to_the_end_and_kept_up_to_the_limit(server: Server) -> None:
    answer = ask(server.shell(), "sh", "-c", "head -c 3000000 /dev/zero; exit 3", most_bytes=1000)
    assert (answer.status, len(answer.stdout), answer.cut) == (3, 1000, True)


def test_a_command_that_leaves_something_in_the_background_ends(server: Server) -> None:
    answer = ask(server.shell(), "sh", "-c", "sleep 30 & echo done", timeout=15.0)
    assert (answer.status, answer.stdout) == (0, "done\n")
    assert answer.seconds < 10


def test_a_command_that_a_signal_ends_has_a_negative_status(server: Server) -> None:
    assert ask(server.shell(), "sh", "-c", "kill -9 $$").status < 0


def test_an_unknown_host_key_is_refused_with_its_fingerprint(server: Server, tmp_path: Path) -> None:
    (tmp_path / "none").touch()
    error = trouble(server.shell(known_hosts=tmp_path / "none"))
    fingerprint = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(server.folder / "host.pub")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()[1]
    assert error.reason is SshReason.HOST_KEY_UNKNOWN
    assert fingerprint in error.message
    assert (tmp_path / "none").read_text() == ""


def test_a_new_host_key_is_written_down_only_by_choice_and_believed_from_then_on(
    server: Server, tmp_path: Path
) -> None:
    known = tmp_path / "folder" / "known_hosts"
    assert ask(server.shell(known_hosts=known, accept_new=True), "true").ok
    assert known.read_text().split()[0] == f"[127.0.0.1]:{server.port}"
    assert ask(server.shell(known_hosts=known), "true").ok


@pytest.mark.parametrize("accept_new", [False, True])
def test_a_host_key_that_changed_is_refused(server: Server, tmp_path: Path, *, accept_new: bool) -> None:
    make_key(tmp_path / "other")
    public = " ".join((tmp_path / "other.pub").read_text().split()[:2])
    (tmp_path / "known").write_text(f"[127.0.0.1]:{server.port} {public}\n")
    error = trouble(server.shell(known_hosts=tmp_path / "known", accept_new=accept_new))
    assert error.reason is SshReason.HOST_KEY_CHANGED
    assert f'ssh-keygen -R "[127.0.0.1]:{server.port}"' in error.hint


def test_a_wrong_key_is_an_authentication_problem(server: Server) -> None:
    error = trouble(server.shell(key=server.folder / "stranger"))
    assert error.reason is SshReason.AUTHENTICATION
    assert server.login.user is not None
    assert server.login.user in error.message


def test_a_port_without_server_refuses(server: Server) -> None:
    assert trouble(server.shell(port=free_port())).reason is SshReason.REFUSED


def test_a_name_that_does_not_exist(server: Server) -> None:
    assert trouble(server.shell(address="c01.invalid")).reason is SshReason.NO_ADDRESS


@contextmanager
def listening(*, close: bool) -> Iterator[int]:
    """A port that takes connections and says nothing, or closes them at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = []

        def take() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                if close:
                    connection.close()
                else:
                    held.append(connection)

        Thread(target=take, daemon=True).start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        for connection in held:
            connection.close()


@pytest.mark.parametrize("close", [False, True])
def test_a_server_that_hangs_or_hangs_up_is_told_apart_in_bounded_time(
    server: Server, *, close: bool
) -> None:
    begun = time.monotonic()
    with listening(close=close) as port:
        error = trouble(server.shell(port=port, seconds=1.0))
    assert error.reason is SshReason.HANGING
    assert time.monotonic() - begun < 5


def test_a_command_has_its_time(server: Server) -> None:
    begun = time.monotonic()
    error = trouble(server.shell(), Command(("sleep", "30"), timeout=0.5))
    assert error.reason is SshReason.TIMED_OUT
    assert error.ambiguous
    assert time.monotonic() - begun < 5


def test_sudo_that_asks_for_a_password_says_so(server: Server) -> None:
    error = trouble(server.shell(sudo=True), Command(("true",), sudo=True))
    assert error.reason is SshReason.SUDO
    assert "NOPASSWD" in error.hint


def test_without_sudo_in_the_inventory_it_is_not_used(server: Server) -> None:
    with server.shell(sudo=False) as shell:
        assert shell.run(Command(("true",), sudo=True)).ok


def test_through_a_jump_host(server: Server) -> None:
    user = server.login.user
    assert ask(server.shell(jump=f"{user}@127.0.0.1:{server.port}"), "echo", "there").stdout == "there\n"


def test_trouble_with_the_jump_host_is_told_apart(server: Server) -> None:
    error = trouble(server.shell(jump=f"127.0.0.1:{free_port()}"))
    assert (error.reason, error.jump) == (SshReason.REFUSED, True)
    assert error.message.startswith("jump host 127.0.0.1: ")


def test_what_the_jump_host_cannot_reach_is_unreachable(server: Server) -> None:
    jump = f"{server.login.user}@127.0.0.1:{server.port}"
    error = trouble(server.shell(jump=jump, port=free_port()))
    assert (error.reason, error.jump) == (SshReason.UNREACHABLE, False)


def test_the_jump_host_s_key_must_be_known_too(server: Server, tmp_path: Path) -> None:
    with running(tmp_path) as other:
        (tmp_path / "authorized_keys").write_text(server.key.with_suffix(".pub").read_text())
        error = trouble(server.shell(jump=f"{server.login.user}@127.0.0.1:{other.port}"))
    assert (error.reason, error.jump) == (SshReason.HOST_KEY_UNKNOWN, True)


def test_ssh_config_fills_in_what_the_inventory_leaves_open(server: Server, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        f"Host c01\n HostName 127.0.0.1\n Port {server.port}\n IdentityFile {server.key}\n"
        f" User {server.login.user}\n UserKnownHostsFile {server.known_hosts}\n"
    )
    bare = login_of(parse(b"c01", "inventory").places["c01"])
    shell = server.shell(bare, ssh_config=tmp_path / "config")
    assert ask(shell, "echo", "there").stdout == "there\n"


def test_a_connection_that_breaks_leaves_the_end_open(server: Server, tmp_path: Path) -> None:
    with running(tmp_path / "short") as other, other.shell() as shell:
        shell.open()
        name = tmp_path / "pid"
        Thread(target=_kill_session, args=(name,), daemon=True).start()
        error = trouble(
            shell, Command(("sh", "-c", f"echo $PPID >{name}.new; mv {name}.new {name}; sleep 30"))
        )
    assert error.reason is SshReason.LOST
    assert error.ambiguous


def _kill_session(pid: Path) -> None:
    while not pid.exists():
        time.sleep(0.05)
    os.kill(int(pid.read_text()), signal.SIGKILL)


def test_no_secret_reaches_the_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ask(server.shell(), "echo", "--password=hunter22", stdin=b"swordfish")
    told = caplog.text
    assert "echo" in told
    assert "hunter22" not in told
    assert "swordfish" not in told


def test_many_hosts_at_once_and_no_more_than_allowed(server: Server) -> None:
    lock, now, most = Lock(), 0, 0

    def question(host: int) -> str:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        try:
            port = server.port if host % 2 else free_port()
            return ask(server.shell(port=port), "echo", str(host)).stdout
        finally:
            with lock:
                now -= 1

    found = on_each(range(6), question, at_once=3)
    assert most == 3
    assert [answer for answer in found.values() if isinstance(answer, str)] == ["1\n", "3\n", "5\n"]
    assert all(isinstance(found[host], SshError) for host in (0, 2, 4))


def test_nothing_is_left_behind(server: Server) -> None:
    before = active_count()
    ask(server.shell(), "true")
    deadline = time.monotonic() + 5
    while active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert active_count() <= before
