"""Looks at the host it runs on, and prints one JSON document.

Read on standard input: `{"part": "boot" | "compute" | "condition", "manager", "unit", "instances"}`.
It changes nothing, but for a file in the instances path that is written and removed at once.
"""

from __future__ import annotations

import calendar
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

BEGUN = time.time()
SECONDS = 15
UNITS = ("nova-compute", "openstack-nova-compute", "devstack@n-cpu")
CONTAINER, LIBVIRT_CONTAINER = "nova_compute", "nova_libvirt"
OTHERS = ("libvirtd.service", "virtqemud.service", "neutron-*", "openvswitch*", "ovs-vswitchd*", "ovn-*")
OTHER_CONTAINERS = ("nova_libvirt", "neutron_", "ovn_", "openvswitch_")
SHOWN = "LoadState,ActiveState,MainPID,Result,TimeoutStopUSec,StateChangeTimestampMonotonic"
BUS_PORTS = (5671, 5672)
ESTABLISHED = "01"
LOG_TAIL = 512 * 1024
SAYS_BUS = re.compile(r"\b(Connected to AMQP server|Reconnected to AMQP server|AMQP server .*unreachable)")
KEPT_STOPPED = "/run/systemd/system/{}.service.d/90-nodeops.conf"
"""Of `nodeops.clients.remote.service`."""
LINE_TIME = re.compile(r"^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)")


def run(argv: Sequence[str]) -> Tuple[Optional[int], str, str]:
    """Exit code, output and complaints; no code when it cannot be run or does not end."""
    try:
        done = subprocess.run(
            list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            timeout=SECONDS, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        return None, "", "{} is not there".format(argv[0])
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, "", "hangs" if isinstance(error, subprocess.TimeoutExpired) else str(error)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace").strip()


def read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


# -- the boot


def boot() -> Dict[str, Any]:
    """Since when its first process runs: right in a container too, which shares the kernel's boot time."""
    kernel_booted = re.search(r"^btime (\d+)$", read("/proc/stat"), re.MULTILINE)
    fields = read("/proc/1/stat").rpartition(")")[2].split()
    started = int(fields[19]) / os.sysconf("SC_CLK_TCK") if len(fields) > 19 else 0.0
    at = (int(kernel_booted[1]) if kernel_booted else 0) + started
    return {"id": read("/proc/sys/kernel/random/boot_id").strip(), "at": at, "kernel": os.uname().release}


# -- services


def aged(service: Optional[Dict[str, Any]]) -> Optional[Dict[str, Any]]:
    """With how long it has been in its state."""
    if service is None:
        return None
    since = service["since"]
    return dict(service, age=None if since is None else time.time() - since)


def with_systemd() -> bool:
    return os.path.isdir("/run/systemd/system")


def shown(unit: str) -> Dict[str, str]:
    if not with_systemd():
        return {}
    code, out, _ = run(("systemctl", "show", unit, "--property", SHOWN))
    return dict(line.split("=", 1) for line in out.splitlines() if "=" in line) if code == 0 else {}


STATES = {"active": "running", "reloading": "running", "activating": "starting", "deactivating": "stopping",
          "inactive": "stopped", "failed": "failed"}  # fmt: skip


def seconds_of(text: str) -> Optional[float]:
    """As systemd writes a span: 1min 30s; infinity is none."""
    parts = re.findall(r"(\d+)(h|min|s|ms|us)\b", text)
    factor = {"h": 3600.0, "min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
    return sum(int(number) * factor[name] for number, name in parts) if parts else None


def unit_service(unit: str) -> Optional[Dict[str, Any]]:
    """None: there is no such unit."""
    found = shown(unit)
    masked = found.get("LoadState") == "masked" or os.path.exists(
        KEPT_STOPPED.format(unit.replace(".service", ""))
    )
    if not masked and found.get("LoadState") != "loaded":
        return None
    monotonic = int(found.get("StateChangeTimestampMonotonic") or 0) / 1e6
    return {
        "name": unit, "manager": "systemd", "state": STATES.get(found.get("ActiveState", ""), "stopped"),
        "masked": masked, "pid": int(found.get("MainPID") or 0) or None,
        "since": time.time() - (time.monotonic() - monotonic) if monotonic else None,
        "stop_seconds": seconds_of(found.get("TimeoutStopUSec", "")), "unit": unit,
        "result": "" if found.get("Result") == "success" else found.get("Result", ""),
    }  # fmt: skip


CONTAINER_STATES = {"running": "running", "created": "stopped", "exited": "stopped", "dead": "failed",
                    "restarting": "starting", "paused": "stopped", "removing": "stopping",
                    "stopping": "stopping",
                    "stopped": "stopped", "configured": "stopped", "initialized": "starting"}  # fmt: skip


def container_service(manager: str, name: str) -> Optional[Dict[str, Any]]:
    if shutil.which(manager) is None:
        return None
    code, out, _ = run((manager, "inspect", "--type", "container", name))
    if code != 0:
        return None
    found = json.loads(out)[0]
    unit = "kolla-{}-container.service".format(name)
    keeper = unit_service(unit)
    policy = (found.get("HostConfig", {}).get("RestartPolicy") or {}).get("Name", "")
    state = found.get("State", {})
    stop_seconds = found.get("Config", {}).get("StopTimeout")
    return {
        "name": name, "manager": manager, "state": CONTAINER_STATES.get(state.get("Status", ""), "stopped"),
        "masked": keeper["masked"] if keeper else policy in {"no", ""},
        "pid": state.get("Pid") or None, "since": moment(state.get("StartedAt", "")),
        "stop_seconds": float(stop_seconds) if stop_seconds else 10.0, "unit": unit if keeper else "",
        "result": "exit code {}".format(state["ExitCode"]) if state.get("ExitCode") else "",
    }  # fmt: skip


def moment(text: str) -> Optional[float]:
    """An RFC 3339 time, whatever its fraction, as containers have it (UTC or with an offset)."""
    found = re.match(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)", text)
    if not found or text.startswith("0001"):
        return None
    offset = re.search(r"([+-])(\d\d):(\d\d)$", text)
    ahead = (int(offset[2]) * 3600 + int(offset[3]) * 60) * (1 if offset[1] == "+" else -1) if offset else 0
    stamp = time.strptime("{} {} UTC".format(found[1], found[2]), "%Y-%m-%d %H:%M:%S %Z")
    return calendar.timegm(stamp) - ahead


def compute(said: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """nova-compute, where it was said to be or else where it is found; running before stopped."""
    manager, unit = said.get("manager"), said.get("unit")
    found = []
    for kind in [manager] if manager else ["systemd", "docker", "podman"]:
        for name in [unit] if unit else (UNITS if kind == "systemd" else [CONTAINER]):
            service = unit_service(name) if kind == "systemd" else container_service(kind, name)
            if service is not None:
                found.append(service)
    return aged(max(found, key=lambda each: each["state"] == "running")) if found else None


def others() -> List[Dict[str, Any]]:
    found = []
    if with_systemd():
        code, out, _ = run(
            ("systemctl", "list-units", "--all", "--plain", "--no-legend", "--type=service", *OTHERS)
        )
        names = [line.split()[0] for line in out.splitlines() if line.strip()] if code == 0 else []
        found += [service for service in map(unit_service, names) if service is not None]
    for manager in ("docker", "podman"):
        if shutil.which(manager):
            code, out, _ = run((manager, "ps", "--all", "--format", "{{.Names}}"))
            names = [name for name in out.split() if name.startswith(OTHER_CONTAINERS)] if code == 0 else []
            found += [
                each for each in (container_service(manager, name) for name in names) if each is not None
            ]
    return found


# -- the message bus


def processes(pid: int) -> List[int]:
    """The process and all below it: what a container's first process starts counts too."""
    parents = {}  # type: Dict[int, int]
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = read("/proc/{}/stat".format(name)).rpartition(")")[2].split()
            if len(fields) > 1:
                parents[int(name)] = int(fields[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each and child not in found]
    return found


def sockets(pids: Sequence[int]) -> "set[str]":
    found = set()
    for pid in pids:
        folder = "/proc/{}/fd".format(pid)
        try:
            names = os.listdir(folder)
        except FileNotFoundError:
            continue
        for name in names:
            try:
                link = os.readlink(os.path.join(folder, name))
            except OSError:
                continue
            if link.startswith("socket:["):
                found.add(link[8:-1])
    return found


def address_of(text: str) -> str:
    """As the kernel writes it: words of four bytes, each turned round."""
    raw = bytes.fromhex(text)
    if len(raw) == 4:
        return socket.inet_ntop(socket.AF_INET, raw[::-1])
    turned = b"".join(raw[at : at + 4][::-1] for at in range(0, 16, 4))
    mapped = turned.startswith(b"\0" * 10 + b"\xff\xff")
    return (
        socket.inet_ntop(socket.AF_INET, turned[12:]) if mapped else socket.inet_ntop(socket.AF_INET6, turned)
    )


def peers(pid: int) -> Iterator[Tuple[str, int]]:
    """Of established connections."""
    own = sockets(processes(pid))
    for table in ("tcp", "tcp6"):
        for line in read("/proc/{}/net/{}".format(pid, table)).splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == ESTABLISHED and fields[9] in own:
                address, _, port = fields[2].partition(":")
                yield address_of(address), int(port, 16)


def configured(pid: Optional[int]) -> Dict[str, str]:
    """What nova.conf says of the bus and the log; later files win, as in oslo.config."""
    root = "/proc/{}/root".format(pid) if pid else ""
    argv = read("/proc/{}/cmdline".format(pid)).split("\0") if pid else []
    named = [
        word.split("=", 1)[1] if "=" in word else argv[at + 1]
        for at, word in enumerate(argv[:-1])
        if word.startswith(("--config-file", "--config-dir"))
    ]
    found = {}  # type: Dict[str, str]
    for name in named or ["/etc/nova/nova.conf", "/etc/nova/nova.conf.d"]:
        path = Path(root + name)
        for file in sorted(path.glob("*.conf")) if path.is_dir() else [path]:
            section = "DEFAULT"
            for line in read(str(file)).splitlines():
                if line.startswith("["):
                    section = line.strip("[] \t")
                key, equals, value = line.partition("=")
                if equals and section == "DEFAULT":
                    found[key.strip()] = value.strip()
    return found


def servers_of(url: str) -> List[Tuple[str, int]]:
    """Addresses in a transport_url; who logs in there stays behind."""
    rest = url.partition("://")[2].partition("/")[0]
    ssl = "ssl=1" in url.lower() or "ssl=true" in url.lower()
    found = []
    for part in rest.split(",") if rest else []:
        name, _, port = part.rpartition("@")[2].rpartition(":")
        if not name:
            name, port = port, ""
        found.append((name.strip("[]"), int(port) if port.isdigit() else BUS_PORTS[not ssl]))
    return found


def resolved(servers: Sequence[Tuple[str, int]]) -> "set[Tuple[str, int]]":
    found = set()
    for name, port in servers:
        try:
            found |= {
                (str(each[4][0]), port) for each in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
            }
        except OSError:
            found.add((name, port))
    return found


def bus(service: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    pid = service["pid"] if service and service["state"] == "running" else None
    said = configured(pid)
    servers = servers_of(said.get("transport_url", ""))
    connections = None  # type: Optional[int]
    if pid:
        try:
            wanted = resolved(servers)
            connections = sum(peer in wanted if wanted else peer[1] in BUS_PORTS for peer in peers(pid))
        except PermissionError:
            connections = None
    line = bus_line(service, said) if service else ""
    says = SAYS_BUS.search(line)
    return {
        "wanted": ["{}:{}".format(*server) for server in servers], "connections": connections,
        "line": says.group(0) + line[says.end():][:80] if says else "",
        "connected": "unreachable" not in says.group(0) if says else None,
    }  # fmt: skip


def bus_line(service: Dict[str, Any], said: Dict[str, str]) -> str:
    """The newest line since it started; a line's time is the host's local time."""
    since = service.get("since") or 0.0
    for line in reversed(log_lines(service, said)):
        if SAYS_BUS.search(line):
            found = LINE_TIME.match(line)
            at = (
                time.mktime(time.strptime("{} {}".format(*found.groups()), "%Y-%m-%d %H:%M:%S"))
                if found
                else None
            )
            return line if at is None or at >= since - 2 else ""
    return ""


def log_lines(service: Dict[str, Any], said: Dict[str, str]) -> List[str]:
    root = "/proc/{}/root".format(service["pid"]) if service["pid"] else ""
    name = said.get("log_file") or "nova-compute.log"
    folder = said.get("log_dir") or "/var/log/nova"
    for path in (os.path.join(root + folder, name), "/var/log/nova/" + name, "/var/log/kolla/nova/" + name):
        try:
            with open(path, "rb") as file:
                file.seek(max(0, os.path.getsize(path) - LOG_TAIL))
                return file.read().decode(errors="replace").splitlines()
        except OSError:
            continue
    if service["manager"] == "systemd":
        return run(("journalctl", "--unit", service["name"], "--output=cat", "--lines=2000", "--no-pager"))[
            1
        ].splitlines()
    return run((service["manager"], "logs", "--tail", "2000", service["name"]))[1].splitlines()


# -- libvirt


def virsh() -> Optional[List[str]]:
    if shutil.which("virsh"):
        return ["virsh", "--connect", "qemu:///system", "--readonly"]
    for manager in ("docker", "podman"):
        service = container_service(manager, LIBVIRT_CONTAINER)
        if service:
            return [manager, "exec", LIBVIRT_CONTAINER, "virsh", "--connect", "qemu:///system", "--readonly"]
    return None


def libvirt(command: Optional[List[str]]) -> Optional[Dict[str, Any]]:
    if command is None:
        return None
    code, out, err = run([*command, "version"])
    if code != 0:
        return {"answers": False, "trouble": err.splitlines()[-1] if err else "ended with {}".format(code)}
    version = re.search(r"Using library: libvirt (\S+)", out)
    emulator = re.search(r"Running hypervisor: \S+ (\S+)", out)
    capabilities = run([*command, "capabilities"])[1]
    cpu = re.search(r"<host>.*?<cpu>.*?<model>([^<]+)</model>", capabilities, re.DOTALL)
    return {
        "answers": True, "version": version[1] if version else "",
        "emulator": emulator[1] if emulator else "",
        "cpu_model": cpu[1] if cpu else "",
    }  # fmt: skip


def guests(command: Optional[List[str]]) -> Optional[List[str]]:
    code, out, _ = run([*command, "list", "--uuid"]) if command else (None, "", "")
    return out.split() if code == 0 else None


# -- file systems

PROBE = """
import json, os, sys
path, write = sys.argv[1], sys.argv[2] == "write"
stat = os.statvfs(path)
found = {"free_mb": stat.f_bavail * stat.f_frsize // 2**20,
         "total_mb": stat.f_blocks * stat.f_frsize // 2**20,
         "free_inodes": stat.f_favail if stat.f_files else None}
if write:
    name = os.path.join(path, ".nodeops-%d" % os.getpid())
    try:
        owner = os.stat(path)
        if os.geteuid() == 0:
            os.setegid(owner.st_gid); os.seteuid(owner.st_uid)
        handle = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.write(handle, b"x" * 4096); os.fsync(handle)
        finally:
            os.close(handle); os.unlink(name)
        found["writable"] = True
    except OSError as error:
        found["writable"], found["trouble"] = False, os.strerror(error.errno).lower()
print(json.dumps(found))
"""


def mount_of(path: str) -> Tuple[str, str, str]:
    """Mount point, source and kind of the file system a path is on."""
    best = ("/", "", "")
    real = os.path.realpath(path)
    for line in read("/proc/self/mountinfo").splitlines():
        fields = line.split()
        dash = fields.index("-")
        point = fields[4].replace("\\040", " ")
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best[0]):
            best = (point, fields[dash + 2], fields[dash + 1])
    return best


def space(path: str, *, write: bool) -> Dict[str, Any]:
    """Asked by a process of its own, which may hang where a file server does not answer."""
    point, source, kind = mount_of(path)
    found = {"path": path, "mounted": point != "/", "source": source, "kind": kind}  # type: Dict[str, Any]
    child = subprocess.Popen(
        [sys.executable, "-c", PROBE, path, "write" if write else "read"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        out, _ = child.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        return dict(found, trouble="hangs")
    if child.returncode:
        return dict(found, trouble="is not there" if not os.path.isdir(path) else "cannot be read")
    return dict(found, **json.loads(out.decode()))


# -- all of it


def failed_units() -> Optional[List[str]]:
    if not with_systemd():
        return None
    code, out, _ = run(("systemctl", "list-units", "--state=failed", "--plain", "--no-legend"))
    return [line.split()[0] for line in out.splitlines() if line.strip()] if code == 0 else None


def synchronised() -> Optional[bool]:
    code, out, _ = run(("timedatectl", "show", "--property=NTPSynchronized", "--value"))
    return {"yes": True, "no": False}.get(out.strip()) if code == 0 else None


def condition(said: Dict[str, Any]) -> Dict[str, Any]:
    service, command = compute(said), virsh()
    return {
        "system_state": run(("systemctl", "is-system-running"))[1].strip() if with_systemd() else "",
        "failed_units": failed_units(), "synchronised": synchronised(), "compute": service,
        "services": others(),
        "bus": bus(service), "libvirt": libvirt(command), "guests": guests(command),
        "instances": space(said.get("instances") or "/var/lib/nova/instances", write=True),
        "root": space("/", write=False),
    }  # fmt: skip


def main() -> None:
    said = json.loads(sys.stdin.read() or "{}")
    os.environ["LC_ALL"] = "C"
    found = {"begun": BEGUN, "boot": boot()}  # type: Dict[str, Any]
    if said.get("part") == "compute":
        found["compute"] = compute(said)
    elif said.get("part") == "condition":
        found.update(condition(said))
    found["ended"] = time.time()
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    # a thread or child in an endless wait for a file server shall not keep the connection
    os._exit(0)


if __name__ == "__main__":
    main()
