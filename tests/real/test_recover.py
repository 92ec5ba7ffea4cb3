"""A real host reboots: what ran on it runs again, and what does not come up says why."""

import shlex

from tests.lab.bed import Bed, Result, kill
from tests.real.guests import HOST, await_guest, boots, on_host

INSTANCES = "/var/lib/nova/instances"
GONE = f"{INSTANCES}/gone/base"


def reboot(bed: Bed, names: list[str]) -> None:
    """An orderly reboot; nova-compute has found every guest off, and stopped its server."""
    assert bed.lab("reboot", HOST).code == 0
    bed.until(lambda: {bed.servers()[name]["status"] for name in names} == {"SHUTOFF"})
    bed.idle(names)


def recover(bed: Bed, *more: str) -> Result:
    return bed.run("recover", HOST, "--yes", "--wait", "3m", "-o", "json", *more, **bed.reached)


def disk(bed: Bed, name: str) -> str:
    return f"{INSTANCES}/{bed.servers()[name]['id']}/disk"


def rebase(bed: Bed, name: str, backing: str) -> str:
    """Write another image into the disk as the one below it; return what was there."""
    path = shlex.quote(disk(bed, name))
    before = on_host(bed, HOST, f"qemu-img info {path} | sed -n 's/^backing file: //p'").strip()
    on_host(bed, HOST, f"qemu-img rebase -u -F raw -b {shlex.quote(backing)} {path}")
    return before


def spoil_its_init(bed: Bed, name: str) -> None:
    """Its kernel looks for an init that is not there, and panics."""
    path = shlex.quote(disk(bed, name))
    # the boot partition alone: the rest is a gigabyte without one end of a line
    write = "dd of=/var/tmp/spoilt bs=1M iflag=fullblock conv=notrunc status=none"
    for command in (
        f"qemu-img convert -O raw {path} /var/tmp/spoilt",
        f"head -c 64M /var/tmp/spoilt | sed 's#rdinit=/init#rdinit=/gone#' | {write}",
        f"qemu-img convert -f raw -O qcow2 /var/tmp/spoilt {path}",
        "rm /var/tmp/spoilt",
    ):
        on_host(bed, HOST, command)


def test_each_server_gets_what_it_needs(bed: Bed) -> None:
    names = ran, undefined, baseless, panicking, owned = bed.boot(HOST, 5)
    for name in names:
        await_guest(bed, name)
    bed.stop(owned)
    reboot(bed, list(names))
    on_host(bed, HOST, f"virsh undefine {bed.servers()[undefined]['id']}")
    backing = rebase(bed, baseless, GONE)
    spoil_its_init(bed, panicking)

    dry = bed.run("recover", HOST, "--dry-run", "-o", "json", **bed.reached)
    assert dry.code == 0, dry.err
    assert dry.verdicts() == dict.fromkeys(names, "DONE") | {owned: "LEFT"}

    done = recover(bed)
    assert done.code == 11, done.err
    good = {ran: "DONE", undefined: "DONE"}
    assert done.verdicts() == good | dict.fromkeys((baseless, panicking, owned), "LEFT")
    assert boots(bed, ran) == 2
    bed.until(lambda: boots(bed, undefined) == 2)
    assert "panicked" in done.server(panicking)["reason"]
    (why,) = done.server(baseless)["findings"]
    assert why["code"] == "backing-file-missing"
    assert GONE in why["words"]
    assert bed.servers()[owned]["status"] == "SHUTOFF"

    rebase(bed, baseless, backing)
    again = recover(bed)
    assert again.code == 0, again.err
    assert again.verdicts()[baseless] == "DONE"
    bed.until(lambda: boots(bed, baseless) == 2)
    assert bed.servers()[owned]["status"] == "SHUTOFF"


def test_right_after_the_boot_it_waits_and_a_kill_does_not_matter(bed: Bed) -> None:
    names = bed.boot(HOST, 2)
    for name in names:
        await_guest(bed, name)
    assert bed.lab("reboot", HOST).code == 0
    words = ("recover", HOST, "--yes", "--wait", "3m", "--parallel", "1", "--probe", "agent")
    process = bed.start(*words, **bed.reached)
    bed.until(lambda: any(boots(bed, name) == 2 for name in names))
    kill(process)
    done = recover(bed, "--probe", "agent")
    assert done.code == 0, done.err
    for name in names:
        bed.until(lambda name=name: boots(bed, name) == 2)  # type: ignore[misc]
    assert len(on_host(bed, HOST, "virsh list --name").split()) == 2
