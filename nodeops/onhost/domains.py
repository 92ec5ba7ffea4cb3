"""A server's domain in libvirt, by `virsh`: its state, its disks, paused and resumed."""

from __future__ import annotations

import re
from typing import NamedTuple
from xml.etree import ElementTree as ET

from nodeops.onhost.programs import LONG, SHORT, find, run
from nodeops.onhost.trouble import Trouble

OFF = frozenset({"shut off", "crashed"})
CONTAINER = "nova_libvirt"
"""Where kolla keeps libvirt."""
MISSING = re.compile(r"failed to get domain|Domain not found")


class Disk(NamedTuple):
    target: str
    """Such as vda."""
    source: str
    """A file or a device; for others what libvirt calls it."""
    kind: str
    """file, block or network."""
    format: str
    device: str
    """disk or cdrom."""


class Domain(NamedTuple):
    state: str
    """`virsh domstate`'s word; `undefined` where libvirt does not know the server."""
    reason: str
    id: str
    """Of this run of the guest; empty while it is off. Another start has another."""
    saved: bool
    """Its memory is kept in a file, to be resumed from."""
    disks: tuple[Disk, ...]

    @property
    def off(self) -> bool:
        return self.state in OFF or self.state == "undefined"


UNDEFINED = Domain("undefined", "", "", saved=False, disks=())


def virsh() -> list[str]:
    """How virsh is called here; raises `Trouble` where there is none."""
    address = ["--connect", "qemu:///system"]
    program = find("virsh")
    if program:
        return [program, *address]
    for engine in ("docker", "podman"):
        program = find(engine)
        if program and run([program, "inspect", "--type", "container", CONTAINER]).code == 0:
            return [program, "exec", CONTAINER, "virsh", *address]
    raise Trouble(f"there is no virsh, and no container {CONTAINER}", "Install libvirt-clients.")


def state(uuid: str) -> tuple[str, str, str]:
    """State, reason and id of the guest's run."""
    asked = run([*virsh(), "domstate", "--domain", uuid, "--reason"])
    if asked.code:
        if MISSING.search(asked.err):
            return "undefined", "", ""
        raise Trouble(f"virsh: {asked.words}")
    found, _, reason = asked.out.strip().partition(" (")
    number = run([*virsh(), "domid", "--domain", uuid]).out.strip()
    return found, reason.rstrip(")"), number if number.isdigit() else ""


def domain(uuid: str) -> Domain:
    """All of it; raises `Trouble` when libvirt does not answer."""
    found, reason, number = state(uuid)
    if found == "undefined":
        return UNDEFINED
    information, described = (run([*virsh(), word, "--domain", uuid]) for word in ("dominfo", "dumpxml"))
    if described.code:
        raise Trouble(f"virsh: {described.words}")
    saved = re.search(r"^Managed save:\s+yes", information.out, re.MULTILINE) is not None
    return Domain(found, reason, number, saved, disks(described.out))


def disks(text: str) -> tuple[Disk, ...]:
    """Of a domain's XML, in its order."""
    found = []
    for each in ET.fromstring(text).iterfind("./devices/disk"):  # noqa: S314 - libvirt's own
        driver, source, target = (each.find(name) for name in ("driver", "source", "target"))
        where = {} if source is None else source.attrib
        found.append(
            Disk(
                "" if target is None else target.get("dev", ""),
                where.get("file") or where.get("dev") or where.get("name", ""),
                each.get("type", ""),
                "" if driver is None else driver.get("type", ""),
                each.get("device", "disk"),
            )
        )
    return tuple(found)


def suspend(uuid: str) -> None:
    _change(uuid, "suspend", "paused", LONG)


def resume(uuid: str) -> None:
    _change(uuid, "resume", "running", SHORT)


def _change(uuid: str, word: str, wanted: str, seconds: float) -> None:
    ended = run([*virsh(), word, "--domain", uuid], seconds=seconds)
    found = state(uuid)[0]
    if ended.code or found != wanted:
        raise Trouble(f"virsh {word}: {ended.words}; the guest is {found}")
