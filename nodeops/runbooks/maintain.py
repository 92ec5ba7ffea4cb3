"""`maintain`: a whole maintenance window of one host as one plan. Pure.

Drain, hooks, nova-compute stopped and kept so, the work, the boot, nova-compute started, the readiness gate,
enable, hooks, and back home. Planned again after a crash, what the journal calls done is left out; but the
gate is asked anew whenever the host is not enabled yet.
"""

import hashlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from nodeops.inventory.variables import ServiceManager
from nodeops.model.machine import Before
from nodeops.model.maintaining import MaintainFacts, Manners, Reset, Task, Times
from nodeops.plan import Action, Finding, Json, Level, Plan, Risk, ServerPlan, Step
from nodeops.runbooks.drain import plan_drain
from nodeops.runbooks.host_steps import AT_ONCE, host_step, may_enable
from nodeops.runbooks.maintain_home import HomeTrip, plan_home
from nodeops.runbooks.options import MoveOptions, cloud_key, options_json, options_of
from nodeops.runbooks.service import service_step

RUNBOOK = "maintain"
WORK_SECONDS, PAUSE_SECONDS, BOOT_SECONDS, READY_SECONDS, HOOK_SECONDS = 300.0, 600.0, 300.0, 30.0, 5.0
"""Guesses of how long each takes."""
DISTURBING = frozenset({"work", "pause-for-work", "reboot-host", "power-cycle-host"})
"""Steps while which nova-compute must not run."""
OF_SERVICE = frozenset({"stop-compute", "keep-stopped"})


@dataclass(frozen=True, slots=True)
class MaintainOptions:
    """What was asked for."""

    task: Task
    move: MoveOptions
    manners: Manners = Manners()  # noqa: RUF009 - frozen, so one will do for all


def plan_maintain(facts: MaintainFacts, options: MaintainOptions) -> Plan:
    """The whole window, or what is left of it."""
    window = _Window(facts, options)
    base = window.base
    host_steps = window.chain([step.id for step in base.steps])
    needs = tuple(step.id for step in host_steps[-1:]) or tuple(step.id for step in base.steps)
    home = window.home(base, needs)
    steps = (*base.steps, *host_steps, *home.steps)
    return Plan(
        runbook=RUNBOOK,
        host=facts.drain.host.name,
        cloud=cloud_key(facts.drain.identity),
        options=maintain_json(options),
        steps=steps,
        servers=home.merged(base.servers),
        findings=(*base.findings, *window.findings(base), *home.findings),
        targets=base.targets,
        fits=base.fits,
        expected_seconds=base.expected_seconds
        + sum(step.expected_seconds for step in host_steps)
        + home.expected_seconds,
    )


@dataclass(frozen=True)
class _Window:
    facts: MaintainFacts
    options: MaintainOptions

    @property
    def host(self) -> str:
        return self.facts.drain.host.name

    @property
    def over(self) -> bool:
        """The host serves again: what is left is hooks and the way home."""
        return f"enable-service:{self.host}" in self.facts.done

    @property
    def begun(self) -> bool:
        """Something was done to the host itself: it was empty then, and is not drained again."""
        known = self.facts.done | self.facts.sent | self.facts.failed
        return any(step_id.split(":")[0] in DISTURBING | OF_SERVICE for step_id in known)

    # -- the servers

    @cached_property
    def base(self) -> Plan:
        """The drain, while it is not over."""
        if self.options.manners.finish or self.begun or self.over:
            return self._staying()
        return plan_drain(self.facts.drain, self.options.move)

    def _staying(self) -> Plan:
        """What is on the host stays there through the window."""
        facts = self.facts.drain
        servers = tuple(
            ServerPlan(
                id=server.id,
                name=server.name,
                status=server.status,
                action=Action.NONE,
                why="is on the host and stays there",
                ram_mb=server.flavor.ram_mb,
                state={},
            )
            for server in sorted(facts.servers, key=lambda each: each.name)
            if server.host == self.host and not self.over
        )
        disable: tuple[Step, ...] = ()
        enabling = f"enable-service:{self.host}" in self.facts.sent | self.facts.done
        if facts.host.enabled and not enabling and not self.options.manners.finish:
            disable = (_plain("disable-service", self.host, "nothing new shall land on it", AT_ONCE),)
        return Plan(RUNBOOK, self.host, cloud_key(facts.identity), {}, disable, servers)

    def home(self, base: Plan, needs: tuple[str, ...]) -> HomeTrip:
        if not self.options.manners.give_back:
            return HomeTrip()
        return plan_home(self.facts, self.options.move, base, needs)

    # -- the host

    def chain(self, base: Sequence[str]) -> list[Step]:
        """The steps on the host that are still to be made, each after all before it."""
        found: list[Step] = []
        for step in self._steps():
            if self._left_out(step):
                continue
            # all of them: one that was sent before a crash may end ahead of those before it
            found.append(replace(step, needs=(*base, *(each.id for each in found))))
        return found

    def _left_out(self, step: Step) -> bool:
        if self.over:
            return step.id in self.facts.done or not step.id.startswith("hook-after")
        if step.action in {"wait-ready", "start-compute"}:
            return False
        if step.action in OF_SERVICE:
            return not self._work_to_come()
        return step.id in self.facts.done

    def _work_to_come(self) -> bool:
        """After the last of it nova-compute is to be started, and may have been by the boot."""
        known = self.facts.done | self.facts.sent
        return any(step.action in DISTURBING and step.id not in known for step in self._work())

    def _steps(self) -> Iterator[Step]:
        facts, host = self.facts, self.host
        service = facts.condition.compute if facts.condition else None
        if not self.options.manners.finish:
            yield from self._hooks("before", facts.hooks_before, "the site's own, before work begins")
            yield service_step("stop-compute", host, service)
            yield service_step("keep-stopped", host, service)
            yield from self._work()
        yield service_step("start-compute", host, service)
        yield self._gate()
        yield from self._enable()
        yield from self._hooks("after", facts.hooks_after, "the site's own, now that it serves")

    def _work(self) -> Iterator[Step]:
        task, times, host = self.options.task, self.options.manners.times, self.host
        if self.options.manners.finish:
            return
        if task.has_work:
            yield self._command(task, times)
        if task.pause:
            why = "a person works on it, and says when it is done"
            yield _plain("pause-for-work", host, why, PAUSE_SECONDS, times.pause)
            yield _plain("wait-host", host, "it has to answer again", 1.0, times.boot)
        if task.reset is not Reset.NONE:
            yield self._reset(task.reset, times)

    def _command(self, task: Task, times: Times) -> Step:
        key = hashlib.sha256("\0".join((*task.argv, task.script_sha256)).encode()).hexdigest()[:8]
        step_id = f"work:{self.host}:{key}"
        known_bad = step_id in self.facts.failed - self.facts.unknown
        again = self.options.manners.again or known_bad
        why = f"runs there as root: {work_words(task)}"
        params: dict[str, Json] = {
            "work": key,
            "argv": [*task.argv],
            "script_sha256": task.script_sha256,
            "again": again,
        }
        return replace(_plain("work", self.host, why, WORK_SECONDS, times.work), id=step_id, params=params)

    def _reset(self, reset: Reset, times: Times) -> Step:
        action = "reboot-host" if reset is Reset.REBOOT else "power-cycle-host"
        step = _plain(action, self.host, "boots anew, proved by another boot id", BOOT_SECONDS, times.boot)
        return replace(step, risk=Risk.REBOOT) if self.running_there() else step

    def running_there(self) -> list[str]:
        """Names of servers that run on the host and are left there."""
        return [
            server.name
            for server in self.facts.drain.servers
            if server.host == self.host and server.vm_state == "active" and self._stays(server.id)
        ]

    def _stays(self, server_id: str) -> bool:
        planned = {server.id: server for server in self.base.servers}
        return (
            server_id not in planned or planned[server_id].refused or planned[server_id].action is Action.NONE
        )

    def _gate(self) -> Step:
        manners = self.options.manners
        step = _plain("wait-ready", self.host, "the readiness gate", READY_SECONDS, manners.times.ready)
        params: dict[str, Json] = {"accept": [*sorted(manners.accept)]}
        if self.facts.before is not None:
            params["before"] = json_of_before(self.facts.before)
        return replace(step, params=params)

    def _enable(self) -> Iterator[Step]:
        host, force = self.facts.drain.host, self.options.manners.force
        if host.enabled or may_enable(host, force=force):
            step = _plain("enable-service", self.host, "it may receive again", AT_ONCE)
            yield replace(step, params={"force": force}, gates=("host-up",))

    def _hooks(self, when: str, commands: Sequence[str], why: str) -> Iterator[Step]:
        for number, command in enumerate(commands, start=1):
            step_id = f"hook-{when}:{self.host}:{number}"
            step = _plain("hook", self.host, f"{why}: {command}", HOOK_SECONDS)
            yield replace(step, id=step_id, params={"when": when, "command": command})

    # -- what is said of it

    def findings(self, base: Plan) -> Iterator[Finding]:
        facts, host, task = self.facts, self.host, self.options.task
        if facts.condition is not None and facts.condition.compute is None:
            hint = "Set nodeops_service_manager and nodeops_nova_compute_unit in the inventory."
            words = f"{host} has no unit or container of nova-compute that is known"
            yield Finding(Level.ERROR, "no-service", words, hint, host)
        if self.over or self.options.manners.finish:
            return
        yield from self._of_service()
        stays = [server.name for server in base.servers if server.refused or server.action is Action.NONE]
        if stays:
            running = self.running_there()
            ends = (
                f"; {', '.join(running)} run and end with it"
                if running and task.reset is not Reset.NONE
                else ""
            )
            words = f"{len(stays)} of its servers stay on {host} through the window{ends}"
            yield Finding(Level.WARNING, "servers-stay", words, f"nodeops recover {host} after a boot.", host)
        yield from self._of_enabling()

    def _of_service(self) -> Iterator[Finding]:
        service = self.facts.condition.compute if self.facts.condition else None
        if service is None:
            return
        if service.stop_seconds is not None and not service.down:
            most = f"{service.stop_seconds:.0f} s"
            words = f"{self.host}: {service.name} may take {most} to stop, and is killed then"
            yield Finding(Level.INFO, "stop-time", words, subject=self.host)
        if service.manager is not ServiceManager.SYSTEMD and not service.unit:
            words = f"{self.host}: what starts containers by itself can start {service.name} meanwhile"
            hint = "Keep the configuration management away from the host during the window."
            yield Finding(Level.WARNING, "container-startable", words, hint, self.host)

    def _of_enabling(self) -> Iterator[Finding]:
        host = self.facts.drain.host
        if self.options.manners.give_back and not any(True for _ in self._enable()):
            words = f"{host.name} stays disabled, and nothing can be given back to it"
            yield Finding(Level.ERROR, "no-way-back", words, "Say --force, or leave --give-back.", host.name)


def work_words(task: Task) -> str:
    """For people, in one line."""
    words = shlex.join(task.argv)
    return f"{task.script} {words}".strip() if task.script else words


def _plain(action: str, host: str, why: str, expected: float, budget: float = 120.0) -> Step:
    return host_step(action, host, why, expected=expected, budget=budget)


def json_of_before(before: Before) -> dict[str, Json]:
    return {
        "libvirt": before.libvirt,
        "cpu_model": before.cpu_model,
        "instances": before.instances,
        "failed_units": list(before.failed_units),
        "resources": dict(before.resources),
    }


def before_of_json(said: Mapping[str, Any]) -> Before:
    return Before(
        libvirt=str(said.get("libvirt", "")),
        cpu_model=str(said.get("cpu_model", "")),
        instances=str(said.get("instances", "")),
        failed_units=tuple(str(each) for each in said.get("failed_units", ())),
        resources={str(name): int(amount) for name, amount in dict(said.get("resources", {})).items()},
    )


def before_in(plan: Plan) -> Before | None:
    """What a plan of this runbook has kept; None when it has nothing."""
    for step in plan.steps:
        said = step.params.get("before")
        if step.action == "wait-ready" and isinstance(said, dict):
            return before_of_json(said)
    return None


def maintain_json(options: MaintainOptions) -> dict[str, Json]:
    """As a plan keeps them."""
    task, manners = options.task, options.manners
    times = manners.times
    return options_json(options.move) | {
        "argv": [*task.argv],
        "script": task.script,
        "script_sha256": task.script_sha256,
        "pause": task.pause,
        "reset": task.reset.value,
        "give_back": manners.give_back,
        "force": manners.force,
        "finish": manners.finish,
        "again": manners.again,
        "accept": [*sorted(manners.accept)],
        "work_seconds": times.work,
        "pause_seconds": times.pause,
        "boot_seconds": times.boot,
        "ready_seconds": times.ready,
    }


def maintain_options(plan: Plan) -> MaintainOptions:
    """Those a plan was made with. Raises `KeyError`, `TypeError` or `ValueError` for another's plan."""
    said: Any = plan.options
    task = Task(
        argv=tuple(str(word) for word in said["argv"]),
        script=str(said["script"]),
        script_sha256=str(said["script_sha256"]),
        pause=bool(said["pause"]),
        reset=Reset(said["reset"]),
    )
    manners = Manners(
        give_back=bool(said["give_back"]),
        force=bool(said["force"]),
        finish=bool(said["finish"]),
        again=bool(said["again"]),
        accept=frozenset(said["accept"]),
        times=Times(
            work=float(said["work_seconds"]),
            pause=float(said["pause_seconds"]),
            boot=float(said["boot_seconds"]),
            ready=float(said["ready_seconds"]),
        ),
    )
    return MaintainOptions(task, options_of(plan), manners)
