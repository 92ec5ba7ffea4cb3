"""`Machine` over SSH: `nodeops.onhost` is asked, and told what to do.

Connections are kept and made anew after an error: a host that reboots takes them down without a word.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from nodeops.clients.on_host import OnHost
from nodeops.clients.shell import Answer, Command, Shell
from nodeops.errors import ApiError, HostTroubleError, SshError, SshReason
from nodeops.inventory import Place
from nodeops.inventory.variables import ServiceManager
from nodeops.model.machine import (
    Boot,
    Bus,
    Condition,
    Libvirt,
    Service,
    ServiceState,
    Space,
    Work,
    WorkReport,
    WorkState,
)

LOOK_SECONDS, CONDITION_SECONDS, CHANGE_SECONDS = 20.0, 60.0, 60.0
LOST = frozenset({SshReason.LOST, SshReason.TIMED_OUT})


class SshMachine:
    """Hosts by Nova's name; `close` ends the connections. Several threads may ask of different hosts."""

    def __init__(self, shell: Callable[[str], Shell], place: Callable[[str], Place | None]) -> None:
        self._shell = shell
        self._place = place
        self._open: dict[str, Shell] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        for shell in self._open.values():
            shell.close()
        self._open.clear()

    # -- reading

    def boot(self, host: str) -> Boot:
        return _boot(self._ask(host, "boot", {}, LOOK_SECONDS))

    def compute(self, host: str) -> Service | None:
        return _service(self._ask(host, "compute", self._known(host), LOOK_SECONDS)["compute"])

    def condition(self, host: str) -> Condition:
        return _condition(host, *self._timed(host))

    def logs(self, host: str, *, lines: int = 50, since: float | None = None) -> tuple[str, ...]:
        said = {**self._known(host), "lines": lines, "since": since}
        return tuple(self._ask(host, "service-log", said, LOOK_SECONDS)["lines"])

    def work(self, host: str, work_id: str) -> WorkReport:
        found = self._ask(host, "work", {"id": work_id}, LOOK_SECONDS)
        return WorkReport(
            state=WorkState(found["state"]),
            exit_code=found.get("exit_code"),
            output=found.get("output") or "",
            began=found.get("began"),
            ended=found.get("ended"),
            boot_id=found.get("boot_id", ""),
            now_boot_id=found["now_boot_id"],
            log=found["log"],
        )

    # -- changing

    def stop(self, host: str, service: Service) -> None:
        self._change(host, "stop", service)

    def start(self, host: str, service: Service) -> None:
        self._change(host, "start", service)

    def kill(self, host: str, service: Service) -> None:
        self._change(host, "kill", service)

    def mask(self, host: str, service: Service) -> None:
        self._change(host, "mask", service)

    def unmask(self, host: str, service: Service) -> None:
        self._change(host, "unmask", service)

    def begin_work(self, host: str, work: Work) -> bool:
        said = {"id": work.id, "argv": work.argv, "script": work.script, "again": work.again}
        return bool(self._ask(host, "work-begin", said, CHANGE_SECONDS)["begun"])

    def reboot(self, host: str) -> None:
        answer = self._run(host, Command(("systemctl", "reboot"), sudo=True, timeout=LOOK_SECONDS))
        if not answer.ok:
            raise ApiError(f"{host}: systemctl reboot: {answer.words}", status=400)

    # -- inside

    def _change(self, host: str, what: str, service: Service) -> None:
        unit = service.unit if service.manager is not ServiceManager.SYSTEMD else service.name
        said = {"do": what, "manager": service.manager.value, "name": service.name, "unit": unit}
        try:
            self._ask(host, "service-change", said, CHANGE_SECONDS)
        except HostTroubleError as error:
            words = error.message.partition(": ")[2]
            message = f"{host}: {service.name} could not be {_DONE[what]}: {words}"
            raise ApiError(message, status=400) from error

    def _timed(self, host: str) -> tuple[Any, float, float]:
        """With this machine's time before and after; the connection is there by then."""
        self._run(host, Command(("true",), timeout=LOOK_SECONDS))
        before = time.time()
        found = self._ask(host, "condition", self._known(host), CONDITION_SECONDS)
        return found, before, time.time()

    def _known(self, host: str) -> dict[str, Any]:
        """What the inventory has of it; what it has not is found out there."""
        place = self._place(host)
        if place is None:
            return {}
        said = place.said_services
        return {
            "manager": place.service_manager.value if "manager" in said else None,
            "unit": place.nova_compute_unit if "unit" in said else None,
            "instances": place.instances_path,
        }

    def _ask(self, host: str, question: str, said: Mapping[str, Any], seconds: float) -> Any:
        return OnHost(_Reopened(self, host)).ask(question, said, seconds=seconds)

    def _run(self, host: str, command: Command) -> Answer:
        with self._lock:
            kept = host in self._open
            shell = self._open.setdefault(host, self._shell(host))
        try:
            return shell.run(command)
        except SshError as error:
            self._forget(host)
            if kept and error.reason in LOST and not error.ambiguous:
                return self._run(host, command)
            raise

    def _forget(self, host: str) -> None:
        with self._lock:
            shell = self._open.pop(host, None)
        if shell is not None:
            with suppress(OSError):
                shell.close()


@dataclass(frozen=True, slots=True)
class _Reopened:
    """One host, over the connection that is open or a new one."""

    machine: SshMachine
    host: str

    def run(self, command: Command) -> Answer:
        return self.machine._run(self.host, command)  # noqa: SLF001 - of this module


_DONE = {"stop": "stopped", "start": "started", "kill": "killed", "mask": "masked", "unmask": "unmasked"}


def _boot(found: Any) -> Boot:
    return Boot(found["id"], float(found["at"]), found["kernel"])


def _service(found: Any) -> Service | None:
    if found is None:
        return None
    return Service(
        name=found["name"],
        manager=ServiceManager(found["manager"]),
        state=ServiceState(found["state"]),
        masked=found["masked"],
        pid=found["pid"],
        since=found["since"],
        age=found.get("age"),
        stop_seconds=found["stop_seconds"],
        result=found["result"],
        unit=found["unit"],
    )


def _condition(host: str, found: Any, before: float, after: float) -> Condition:
    least, most = found["ended"] - after, found["begun"] - before
    bus, libvirt = found["bus"], found["libvirt"]
    failed = found["failed_units"]
    return Condition(
        host=host,
        boot=_boot(found["boot"]),
        clock_offset=(least + most) / 2,
        clock_slack=abs(most - least) / 2,
        synchronised=found["synchronised"],
        system_state=found["system_state"],
        failed_units=None if failed is None else tuple(failed),
        compute=_service(found["compute"]),
        services=tuple(each for each in map(_service, found["services"]) if each is not None),
        bus=Bus(tuple(bus["wanted"]), bus["connections"], bus["line"], bus["connected"]),
        libvirt=None if libvirt is None else Libvirt(**libvirt),
        instances=Space(**found["instances"]),
        root=Space(**found["root"]),
        guests=None if found["guests"] is None else tuple(found["guests"]),
    )
