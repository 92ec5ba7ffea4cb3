"""Maintenance windows on a real host: its own systemd, nova-compute, libvirt and guests."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from nodeops.errors import FailedError
from tests.docs.commands_in import ROOT, commands_in
from tests.lab.bed import Bed, Result, kill
from tests.real.guests import HOST, await_guest, boots, counted, on_host

GUESTS = int(os.environ.get("NODEOPS_TEST_GUESTS", "1"))
"""On the host in tests that could do without; 0 where the machine is too busy to boot one."""
SECONDS = 900.0
PROOF = "/root/proof"
BOOT = "cat /proc/sys/kernel/random/boot_id"
CONF = "/etc/nova/nova.conf"
INSTANCES = "/var/lib/nova/instances"
EMPTIED = f"grep -q '^full {INSTANCES} ' /proc/mounts && umount {INSTANCES}"
"""Takes the small disk away that `test_a_full_disk...` lays over the instances path."""


def nodeops(bed: Bed, *arguments: str, **more: str) -> Result:
    """As `bed.run`, with the time that a window takes."""
    process = bed.start(*arguments, **(bed.reached | more))
    out, err = process.communicate(timeout=SECONDS)
    return Result(process.returncode, out, err)


def maintain(bed: Bed, *more: str) -> Result:
    return nodeops(bed, "maintain", HOST, "--yes", "-o", "json", *more)


def guests(bed: Bed, host: str) -> list[str]:
    """Guests that live, on that host."""
    names = bed.boot(host, GUESTS) if GUESTS else []
    for name in names:
        await_guest(bed, name)
    return names


def state_of(bed: Bed) -> str:
    return on_host(bed, HOST, "systemctl is-active nova-compute || true").strip()


@pytest.fixture
def host(bed: Bed) -> Iterator[str]:
    """The host of these tests, ready before and made whole after."""
    on_host(
        bed,
        HOST,
        f"rm -rf {PROOF} {PROOF}.end /var/lib/nodeops; cp -n {CONF} {CONF}.kept; chmod 644 {CONF}.kept",
    )
    yield HOST
    on_host(bed, HOST, f"cp {CONF}.kept {CONF}; {EMPTIED}")
    if bed.service(HOST)["status"] == "disabled" or state_of(bed) != "active":
        nodeops(bed, "maintain", HOST, "--yes", "--finish", "--force")
    bed.until(lambda: bed.service(HOST)["status"] == "enabled")


def test_a_window_with_work_a_reboot_and_the_way_home(bed: Bed, host: str) -> None:
    names = bed.boot(host, 2)
    for name in names:
        await_guest(bed, name)
    before = {name: counted(bed, name) for name in names}
    boot = on_host(bed, host, BOOT)
    script = f"(systemctl is-active nova-compute; systemctl start nova-compute) > {PROOF} 2>&1; true"
    done = maintain(bed, "--reboot", "--give-back", "--", "sh", "-c", script)
    assert done.code == 0, done.err
    assert set(done.verdicts().values()) == {"MOVED"}
    assert set(bed.hosts_of(names).values()) == {host}
    proof = on_host(bed, host, f"cat {PROOF}")
    assert proof.splitlines()[0] in {"inactive", "failed"}
    assert "Assertion failed" in proof or "masked" in proof, "nothing kept it stopped"
    assert on_host(bed, host, BOOT) != boot
    assert bed.service(host)["status"] == "enabled"
    assert nodeops(bed, "ready", host).code == 0
    for name in names:
        bed.until(lambda name=name: counted(bed, name) > before[name] + 10)  # type: ignore[misc]
        assert boots(bed, name) <= 1, "it was booted anew"


PAGE = ROOT / "runbooks" / "planned-maintenance.md"


def test_the_page_works_as_it_is_written(bed: Bed, host: str) -> None:
    """Every command of the way in one command; an upgrade from a mirror is left to the reader."""
    names = guests(bed, host)
    by_hand = PAGE.read_text().splitlines().index("## Before the window")
    commands = [command for command in commands_in(PAGE) if command.line <= by_hand]
    assert {command.words[1] for command in commands} == {"ready", "maintain", "resume", "host"}
    for command in commands:
        words = [host if word == "c01" else word for word in command.words[1:]]
        if "--" in words:
            words[words.index("--") + 1 :] = ["sleep", "5"]
        asks = words[0] in {"maintain", "resume"} and "--dry-run" not in words
        done = nodeops(bed, words[0], *(["--yes"] if asks else []), *words[1:])
        over = words[0] == "resume" and "nothing to go on with" in done.err
        assert done.code == 0 or over, f"{words}: {done.err}"
    assert bed.hosts_of(names) == dict.fromkeys(names, host)


def killed_at(bed: Bed, phases: Sequence[str], *arguments: str) -> int | None:
    """Start the command and kill it with SIGKILL in the first of these phases that is seen, and return which.

    None when it came to its end without one of them.
    """
    process = bed.start(*arguments, **bed.reached)
    assert process.stderr is not None
    for line in process.stderr:
        found = [at for at, phase in enumerate(phases) if re.search(phase, line)]
        if found:
            kill(process)
            return found[0]
    process.communicate()
    assert process.returncode == 0
    return None


WORK_RUNS = r"waits for .*: work: runs"
PHASES = (
    r"live-migrate to",
    r"stop-compute",
    r": keep-stopped",
    r": work$",
    WORK_RUNS,
    r"reboot-host",
    r"down, or booting",
    r"start-compute|moment",
    r"is not ready|enable-service",
)
"""What the run says in each, in this order; some may be over when it is gone on with."""


def test_killed_in_every_phase_it_goes_on_and_does_nothing_twice(bed: Bed, host: str) -> None:
    names = guests(bed, host)
    boot = on_host(bed, host, BOOT)
    # it ends only when it is let, so that the run can be killed while it runs
    work = f"echo once >> {PROOF}; until [ -e {PROOF}.end ]; do sleep 1; done"
    command = ("maintain", host, "--yes", "--reboot", "--give-back", "--", "sh", "-c", work)
    phases, kills = PHASES[not names :], 0
    while phases and (seen := killed_at(bed, phases, *command)) is not None:
        kills += 1
        if phases[seen] == WORK_RUNS:
            on_host(bed, host, f"touch {PROOF}.end")
        phases = phases[seen + 1 :]
    assert kills > 4
    done = nodeops(bed, *command) if not phases else None
    assert done is None or done.code == 0, done.err
    assert on_host(bed, host, f"cat {PROOF}").split() == ["once"]
    assert on_host(bed, host, BOOT) != boot
    assert bed.hosts_of(names) == dict.fromkeys(names, host)
    assert all(boots(bed, name) <= 1 for name in names)
    assert bed.service(host)["status"] == "enabled"


def test_work_outlives_a_connection_that_is_lost(bed: Bed, host: str) -> None:
    work = f"sleep 10; echo done > {PROOF}"
    command = ("maintain", host, "--yes", "--", "sh", "-c", work)
    process = bed.start(*command, **bed.reached)
    assert process.stderr is not None
    cut = False
    for line in process.stderr:
        if "work: runs" in line or line.rstrip().endswith(": work"):
            with suppress(FailedError):  # its own connection is one of them
                on_host(bed, host, "pkill -f 'sshd.*: root@notty' || pkill -x sshd-session || true")
            cut = True
            break
    _, err = process.communicate(timeout=SECONDS)
    assert cut
    assert process.returncode == 0, err
    assert on_host(bed, host, f"cat {PROOF}").strip() == "done"


def test_a_nova_compute_that_cannot_reach_the_bus_stays_out_of_service(bed: Bed, host: str) -> None:
    nowhere = f"sed -i 's#@127.0.0.1:[0-9]*/#@127.0.0.1:1/#' {CONF}"
    done = maintain(bed, "--ready-time", "40s", "--", "sh", "-c", nowhere)
    assert done.code == 10, done.err
    assert done.json["error"]["code"] == "window-open"
    assert "message bus: no connection to 127.0.0.1:1" in done.err
    assert bed.service(host)["status"] == "disabled"
    gate = nodeops(bed, "ready", host, "-o", "json")
    assert gate.code == 30
    standing = {check["code"]: check for check in gate.json["checks"]}
    assert standing["message-bus"]["standing"] == "failed"
    assert standing["message-bus"]["way_out"]
    on_host(bed, host, f"cp {CONF}.kept {CONF}")
    assert nodeops(bed, "host", host, "restart", "--yes").code == 0
    done = maintain(bed, "--finish")
    assert done.code == 0, done.err
    assert bed.service(host)["status"] == "enabled"


def test_a_full_disk_keeps_it_out_of_service(bed: Bed, host: str) -> None:
    # of more than a GiB: of less nova-compute takes the disk out of Placement, and gives up if any is used
    fill = (
        f"mount -t tmpfs -o size=1100m,mode=777 full {INSTANCES}"
        f" && dd if=/dev/zero of={INSTANCES}/full bs=1M count=1200 2>/dev/null; true"
    )
    done = maintain(bed, "--ready-time", "40s", "--", "sh", "-c", fill)
    assert done.code == 10, done.err
    assert "instances path" in done.err
    assert bed.service(host)["status"] == "disabled"
    on_host(bed, host, EMPTIED)
    assert maintain(bed, "--finish").code == 0


@contextmanager
def other_inventory(bed: Bed, *changes: tuple[str, str]) -> Iterator[dict[str, str]]:
    """The lab's own inventory with some of its lines written anew."""
    text = bed.inventory.read_text()
    for pattern, replacement in changes:
        text = re.sub(pattern, replacement, text)
    path = bed.state / "other.ini"
    path.write_text(text)
    yield {"NODEOPS_INVENTORY": str(path)}


def untouched(bed: Bed, host: str, arguments: Sequence[str], **more: str) -> Result:
    """The command has to be refused before anything is sent."""
    done = nodeops(bed, *arguments, **more)
    assert done.code == 21, done.err
    assert bed.service(host)["status"] == "enabled"
    assert on_host(bed, host, "systemctl is-active nova-compute").strip() == "active"
    return done


def test_a_wrong_host_key_is_not_talked_to(bed: Bed, host: str, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    kind, key, *_ = (tmp_path / "other.pub").read_text().split()
    address = re.search(rf"^{host} ansible_host=(\S+)", bed.inventory.read_text(), re.MULTILINE)
    assert address
    (tmp_path / "known_hosts").write_text(f"{address[1]} {kind} {key}\n")
    with other_inventory(
        bed, (r"nodeops_ssh_known_hosts = \S+", f"nodeops_ssh_known_hosts = {tmp_path}/known_hosts")
    ) as told:
        done = untouched(bed, host, ["maintain", host, "--yes", "--reboot"], **told)
        assert "host key" in done.err
        gate = nodeops(bed, "ready", host, **told)
        assert gate.code == 30
        assert "host key" in gate.out


def test_a_sudo_that_asks_for_a_password_is_said(bed: Bed, host: str) -> None:
    rule = "/etc/sudoers.d/lab"
    on_host(bed, host, f"cp {rule} /root/lab.kept; sed -i 's/^ops .*/ops ALL=(ALL) ALL/' {rule}")
    try:
        with other_inventory(bed, (r"ansible_user = \S+", "ansible_user = ops")) as told:
            done = untouched(bed, host, ["maintain", host, "--yes", "--reboot"], **told)
            assert "sudo does not let ops" in done.err
            assert nodeops(bed, "host", host, "status", **told).code == 21
    finally:
        on_host(bed, host, f"cp /root/lab.kept {rule}; chmod 440 {rule}")
    with other_inventory(bed, (r"ansible_user = \S+", "ansible_user = ops")) as told:
        assert nodeops(bed, "host", host, "status", **told).code == 0


def test_host_stop_keep_and_start(bed: Bed, host: str) -> None:
    assert nodeops(bed, "host", host, "stop", "--keep", "--yes").code == 0
    status = nodeops(bed, "host", host, "status", "-o", "json")
    assert status.code == 30
    assert status.json["hosts"][0]["nova_compute"]["masked"]
    refused = on_host(bed, host, "systemctl start nova-compute 2>&1 || true")
    assert "Assertion failed" in refused or "masked" in refused, shlex.quote(refused)
    assert nodeops(bed, "host", host, "start", "--yes").code == 0
    assert on_host(bed, host, "systemctl is-active nova-compute").strip() == "active"
    logs = nodeops(bed, "host", host, "logs", "--lines", "20", "--since", "10m")
    assert logs.code == 0
    assert "nova" in logs.out
    bed.until(lambda: bed.service(host)["state"] == "up")
