"""Services of this host as systemd, Docker or podman keep them: nova-compute, and those beside it."""

from __future__ import annotations

import calendar
import json
import re
import time
from pathlib import Path
from typing import Any

from nodeops.onhost.programs import find, tried, with_systemd

SYSTEMD, ENGINES = "systemd", ("docker", "podman")
UNITS = ("nova-compute", "openstack-nova-compute", "devstack@n-cpu")
CONTAINER = "nova_compute"
OTHER_UNITS = ("libvirtd.service", "virtqemud.service", "neutron-*", "openvswitch*", "ovs-vswitchd*", "ovn-*")
OTHER_CONTAINERS = ("nova_libvirt", "neutron_", "ovn_", "openvswitch_")
PROPERTIES = "LoadState,ActiveState,MainPID,Result,TimeoutStopUSec,StateChangeTimestampMonotonic"
RUN = Path("/run/systemd/system")
DROP_IN = "90-nodeops.conf"
"""Keeps a unit stopped that cannot be masked; see `service_changes`."""
STATES = {
    "active": "running",
    "reloading": "running",
    "activating": "starting",
    "deactivating": "stopping",
    "inactive": "stopped",
    "failed": "failed",
}
CONTAINER_STATES = {
    "running": "running",
    "created": "stopped",
    "exited": "stopped",
    "dead": "failed",
    "restarting": "starting",
    "paused": "stopped",
    "removing": "stopping",
    "stopping": "stopping",
    "stopped": "stopped",
    "configured": "stopped",
    "initialized": "starting",
}
STOP_SECONDS = 10.0
"""What Docker and podman give a container that says nothing else."""


def compute(asked: dict[str, Any]) -> dict[str, Any]:
    """nova-compute, where it was said to be (`manager`, `unit`) or else where it is found."""
    return {"compute": find_compute(asked)}


def find_compute(asked: dict[str, Any]) -> dict[str, Any] | None:
    """Running before stopped; None where there is none."""
    manager, unit = asked.get("manager"), asked.get("unit")
    found = []
    for kind in [manager] if manager else [SYSTEMD, *ENGINES]:
        for name in [unit] if unit else (UNITS if kind == SYSTEMD else [CONTAINER]):
            service = unit_service(name) if kind == SYSTEMD else container_service(kind, name)
            if service is not None:
                found.append(service)
    return _aged(max(found, key=lambda each: bool(each["state"] == "running"))) if found else None


def others() -> list[dict[str, Any]]:
    """Those that nova-compute needs: libvirt's, Neutron's, Open vSwitch's."""
    found: list[dict[str, Any] | None] = []
    if with_systemd():
        listed = _lines(
            "systemctl", "list-units", "--all", "--plain", "--no-legend", "--type=service", *OTHER_UNITS
        )
        found += [unit_service(line.split()[0]) for line in listed]
    for engine in ENGINES:
        if find(engine):
            names = _lines(engine, "ps", "--all", "--format", "{{.Names}}")
            found += [container_service(engine, name) for name in names if name.startswith(OTHER_CONTAINERS)]
    return [service for service in found if service is not None]


def failed_units() -> list[str] | None:
    """None where systemd does not tell."""
    if not with_systemd():
        return None
    ended = tried(("systemctl", "list-units", "--state=failed", "--plain", "--no-legend"))
    return None if ended.code else [line.split()[0] for line in ended.out.splitlines() if line.strip()]


def system_state() -> str:
    """In systemd's word; empty where there is none."""
    return tried(("systemctl", "is-system-running")).out.strip() if with_systemd() else ""


def _lines(*argv: str) -> list[str]:
    ended = tried(argv)
    return [] if ended.code else [line for line in ended.out.splitlines() if line.strip()]


def _aged(service: dict[str, Any]) -> dict[str, Any]:
    """With how long it has been in its state."""
    since = service["since"]
    return {**service, "age": None if since is None else time.time() - since}


def drop_in(unit: str) -> Path:
    """The file that keeps a unit stopped."""
    return RUN / "{}.service.d".format(unit.replace(".service", "")) / DROP_IN


def unit_service(unit: str) -> dict[str, Any] | None:
    """None: there is no such unit."""
    shown = _lines("systemctl", "show", unit, "--property", PROPERTIES) if with_systemd() else []
    found = dict(line.split("=", 1) for line in shown if "=" in line)
    masked = found.get("LoadState") == "masked" or drop_in(unit).exists()
    if not masked and found.get("LoadState") != "loaded":
        return None
    monotonic = int(found.get("StateChangeTimestampMonotonic") or 0) / 1e6
    return {
        "name": unit,
        "manager": SYSTEMD,
        "state": STATES.get(found.get("ActiveState", ""), "stopped"),
        "masked": masked,
        "pid": int(found.get("MainPID") or 0) or None,
        "since": time.time() - (time.monotonic() - monotonic) if monotonic else None,
        "stop_seconds": seconds_of(found.get("TimeoutStopUSec", "")),
        "unit": unit,
        "result": "" if found.get("Result") == "success" else found.get("Result", ""),
    }


def seconds_of(text: str) -> float | None:
    """As systemd writes a span: 1min 30s; infinity is none."""
    parts = re.findall(r"(\d+)(h|min|s|ms|us)\b", text)
    factor = {"h": 3600.0, "min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
    return sum(int(number) * factor[name] for number, name in parts) if parts else None


def container_service(engine: str, name: str) -> dict[str, Any] | None:
    """None: there is no such container."""
    ended = tried((engine, "inspect", "--type", "container", name))
    if ended.code:
        return None
    found = json.loads(ended.out)[0]
    unit = f"kolla-{name}-container.service"
    keeper = unit_service(unit)
    policy = (found.get("HostConfig", {}).get("RestartPolicy") or {}).get("Name", "")
    state = found.get("State", {})
    return {
        "name": name,
        "manager": engine,
        "state": CONTAINER_STATES.get(state.get("Status", ""), "stopped"),
        "masked": keeper["masked"] if keeper else policy in {"no", ""},
        "pid": state.get("Pid") or None,
        "since": moment(state.get("StartedAt", "")),
        "stop_seconds": float(found.get("Config", {}).get("StopTimeout") or STOP_SECONDS),
        "unit": unit if keeper else "",
        "result": "exit code {}".format(state["ExitCode"]) if state.get("ExitCode") else "",
    }


def moment(text: str) -> float | None:
    """An RFC 3339 time, whatever its fraction, as containers have it (UTC or with an offset)."""
    found = re.match(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)", text)
    if not found or text.startswith("0001"):
        return None
    offset = re.search(r"([+-])(\d\d):(\d\d)$", text)
    ahead = (int(offset[2]) * 3600 + int(offset[3]) * 60) * (1 if offset[1] == "+" else -1) if offset else 0
    stamp = time.strptime(f"{found[1]} {found[2]} UTC", "%Y-%m-%d %H:%M:%S %Z")
    return calendar.timegm(stamp) - ahead
