"""`recover`: after a host booted, the servers that ran on it before run again. A plan.

STOPPED servers are started, which in libvirt defines the guest anew as a hard reboot does; a hard reboot
follows where the start failed, and is the only way for those Nova calls ACTIVE: a soft reboot of a guest that
is off waits two minutes and is a hard one then (`nova/virt/libvirt/driver.py`, `_soft_reboot`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nodeops.model.facts import PowerState, Server
from nodeops.model.readiness import Check, Standing
from nodeops.model.reattaching import ReattachFacts
from nodeops.model.recovering import Probe, RecoverFacts
from nodeops.plan import Action, Finding, Json, Level, Plan, Refusal, Risk, ServerPlan, Step, StepId
from nodeops.runbooks.classes import CLASSES
from nodeops.runbooks.options import MoveOptions, options_json, options_of
from nodeops.runbooks.priority import Priority, rank
from nodeops.runbooks.ran_before import Kind, Story, story
from nodeops.runbooks.reattach import plan_reattach

RUNBOOK = "recover"
PARALLEL = 4
START_SECONDS, REBOOT_SECONDS = 8.0, 12.0
BUDGET_SECONDS = 300.0
"""For Nova to start one: volumes are connected and networks are waited for (`vif_plugging_timeout`)."""
PROBE_SECONDS = 180.0
NEEDED = frozenset(
    {
        "host",
        "boot",
        "libvirt-answers",
        "instances-path",
        "nova-compute",
        "message-bus",
        "nova-service",
        "network-agent",
    }
)
"""What of the readiness gate a guest cannot be started without; the rest is told."""
_REFUSED = {Kind.UNKNOWN: "ran-unknown", Kind.ERROR: "in-error", Kind.STUCK: "not-startable"}


@dataclass(frozen=True, slots=True)
class RecoverOptions:
    """Choices of a recovery."""

    move: MoveOptions = field(
        default_factory=lambda: MoveOptions(parallel=PARALLEL, canary=False, retries=1, max_failures=None)
    )
    priority: tuple[Priority, ...] = ()
    probe: Probe = Probe.CONSOLE
    probe_seconds: float = PROBE_SECONDS
    volumes: bool = True
    """Whether stale volumes are attached anew afterwards."""
    force: bool = False
    """Go on although the host is not ready."""
    booted: float | None = None
    """When it booted, where nobody else can tell."""


def recover_json(options: RecoverOptions) -> dict[str, Json]:
    """The options as a plan keeps them."""
    said: dict[str, Json] = {
        "priority": [str(each) for each in options.priority],
        "shows": options.probe.value,
        "probe_seconds": options.probe_seconds,
        "volumes": options.volumes,
        "force": options.force,
        "booted": options.booted,
    }
    return options_json(options.move) | said


def recover_options(plan: Plan) -> RecoverOptions:
    """The options a plan was made with; raises as `options_of` does."""
    said: Mapping[str, Any] = plan.options
    return RecoverOptions(
        options_of(plan),
        tuple(Priority.parse(each) for each in said["priority"]),
        Probe(said["shows"]),
        float(said["probe_seconds"]),
        bool(said["volumes"]),
        bool(said["force"]),
        said["booted"],
    )


def plan_recover(facts: RecoverFacts, options: RecoverOptions) -> Plan:
    """What a recovery of the host would do; every server of it has one line."""
    ranked = sorted((rank(each, options.priority), each.name, each.id, each) for each in facts.servers)
    cases = [_Case(facts, options, each[-1], place) for place, each in enumerate(ranked)]
    volumes = _plan_volumes(facts, options, [case for case in cases if case.goes])
    steps = [step for case in cases for step in (*case.steps, *volumes.steps_of(case))]
    findings = (*_findings(facts, options, cases), *volumes.findings)
    at_once = max(1, options.move.parallel or PARALLEL)
    each = [sum(step.expected_seconds for step in case.steps) for case in cases]
    return Plan(
        runbook=RUNBOOK,
        host=facts.host.name,
        cloud=facts.cloud,
        options=recover_json(options),
        steps=tuple(steps),
        servers=tuple(case.server_plan() for case in cases),
        findings=findings,
        expected_seconds=max(sum(each) / at_once, max(each, default=0.0)),
    )


class _Case:
    """One server: its story, what is done about it, or why it is not."""

    def __init__(self, facts: RecoverFacts, options: RecoverOptions, server: Server, place: int) -> None:
        self.server = server
        self.story: Story = story(facts, server)
        self.refusals: tuple[Refusal, ...] = ()
        self.steps: tuple[Step, ...] = ()
        self._facts, self._options, self._place = facts, options, place
        name = _REFUSED.get(self.story.kind)
        allowed = name is not None and CLASSES[name].allowed(options.move)
        self.goes = self.story.kind is Kind.RAN or allowed
        if name is not None and not allowed:
            self.refusals = (CLASSES[name].refusal(self.story.words),)
        elif self.goes:
            self.steps = tuple(self._bring_up())

    def server_plan(self) -> ServerPlan:
        server = self.server
        return ServerPlan(
            id=server.id,
            name=server.name,
            status=server.status,
            action=Action.START if self.goes else Action.NONE,
            refusals=self.refusals,
            why=self.story.words,
            risk=max((step.risk for step in self.steps), default=Risk.SAFE),
            expected_seconds=sum(step.expected_seconds for step in self.steps),
            ram_mb=server.flavor.ram_mb,
            state={
                "vm_state": "active" if self.goes else server.vm_state,
                "power_state": int(PowerState.RUNNING) if self.goes else server.power_state,
            },
        )

    def _bring_up(self) -> Iterator[Step]:
        host, server = self._facts.host.name, self.server
        asked = self._facts.asked.get(server.id, ())
        params: dict[str, Json] = {"rank": self._place, "seen": asked[0].request_id if asked else ""}
        soft: Step | None = None
        if server.vm_state == "stopped":
            soft = self._step("start-guest", self.story.words, params, START_SECONDS, source=host)
            yield soft
        why = f"{self.story.words}; a hard reboot defines its guest anew"
        if soft is not None:
            params = params | {"despite": soft.id}
            why = "only where the start failed: it defines the guest anew"
        hard = self._step(
            "reboot-guest", why, params, 0.0 if soft else REBOOT_SECONDS, needs=_ids(soft), source=host
        )
        yield hard
        if self._options.probe is not Probe.NONE:
            asks: dict[str, Json] = {"rank": self._place, "probe": self._options.probe.value}
            why = f"its {self._options.probe} shows that it lives"
            yield replace(
                self._step("probe-guest", why, asks, 0.0, needs=(hard.id,)),
                budget_seconds=max(60.0, self._options.probe_seconds),
            )

    def _step(  # noqa: PLR0917 - the parts of a step
        self,
        action: str,
        why: str,
        params: Mapping[str, Json],
        seconds: float,
        needs: tuple[StepId, ...] = (),
        source: str | None = None,
    ) -> Step:
        return Step(
            id=f"{action}:{self.server.id}",
            action=action,
            subject_id=self.server.id,
            subject_name=self.server.name,
            why=why,
            risk=Risk.SAFE,
            params={"host": self._facts.host.name, **params},
            needs=needs,
            source=source,
            expected_seconds=seconds,
            budget_seconds=BUDGET_SECONDS,
        )


def _ids(step: Step | None) -> tuple[StepId, ...]:
    return () if step is None else (step.id,)


@dataclass(frozen=True, slots=True)
class _Volumes:
    """What is done about volumes, and what is only said."""

    steps: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    def steps_of(self, case: _Case) -> tuple[Step, ...]:
        """After it runs, and after it was probed, whatever came of that."""
        if not case.steps:
            return ()
        last = case.steps[-1]
        needs = tuple(step.id for step in case.steps if step.action in {"reboot-guest", "probe-guest"})
        despite = {"despite": last.id} if last.action == "probe-guest" else {}
        return tuple(
            replace(
                step, needs=step.needs or needs, params={**step.params, **({} if step.needs else despite)}
            )
            for step in self.steps.get(case.server.id, ())
        )


def _plan_volumes(facts: RecoverFacts, options: RecoverOptions, cases: Sequence[_Case]) -> _Volumes:
    """As `reattach` has it, of servers as they will be then."""
    if facts.volumes is None or not options.volumes:
        return _Volumes()
    plan = plan_reattach(_once_up(facts.volumes, cases))
    steps: dict[str, tuple[Step, ...]] = {}
    for step in plan.steps:
        steps[step.subject_id] = (*steps.get(step.subject_id, ()), step)
    left = [
        Finding(
            Level.WARNING,
            f"volume-{refusal.refusal_class}",
            f"{server.name}: {refusal.reason}",
            f"It is started all the same; then: nodeops reattach {server.name}",
            server.id,
        )
        for server in plan.servers
        for refusal in server.refusals
    ]
    return _Volumes(steps, (*plan.findings, *left))


def _once_up(volumes: ReattachFacts, cases: Sequence[_Case]) -> ReattachFacts:
    ids = {case.server.id for case in cases}
    servers = tuple(
        replace(server, vm_state="active", status="ACTIVE", task_state=None)
        for server in volumes.servers
        if server.id in ids
    )
    return replace(volumes, servers=servers)


def _findings(facts: RecoverFacts, options: RecoverOptions, cases: Sequence[_Case]) -> Iterator[Finding]:
    name = facts.host.name
    yield from _of_readiness(facts, options)
    if facts.booted is None:
        words = f"{name}: when it booted is not known"
        yield Finding(Level.WARNING, "boot-unknown", words, "Say it: --booted 2h, or --booted TIME.", name)
    if not facts.host.enabled:
        why = f" ({facts.host.disabled_reason})" if facts.host.disabled_reason else ""
        words = f"{name} is disabled{why}: its servers are brought back, and nothing new lands on it"
        yield Finding(Level.INFO, "host-disabled", words, f"nodeops undrain {name} enables it.", name)
    for case in cases:
        if case.story.kind is Kind.STARTED:
            yield Finding(
                Level.INFO,
                "resumed-at-boot",
                f"{case.server.name} {case.story.words}",
                subject=case.server.id,
            )
        if case.story.doubt and case.goes:
            words = f"{case.server.name} {case.story.doubt}"
            yield Finding(Level.WARNING, "off-before-boot", words, subject=case.server.id)
    for words in facts.unseen:
        yield Finding(Level.WARNING, "unseen", f"could not be asked: {words}")


def _of_readiness(facts: RecoverFacts, options: RecoverOptions) -> Iterator[Finding]:
    name = facts.host.name
    for check in facts.checks:
        if not check.standing.holds_up:
            continue
        needed = check.code in NEEDED and not options.force
        hint = check.way_out
        if needed:
            hint = f"{hint} --force goes on all the same.".strip()
        level = Level.ERROR if needed else Level.WARNING
        if check.code == "resources-unseen" and check.standing is Standing.UNKNOWN:
            level = Level.INFO
        yield Finding(level, f"not-ready-{check.code}", f"{name}: {check.words}", hint, name)


def holding_up(checks: Sequence[Check]) -> tuple[Check, ...]:
    """What a start needs and does not have."""
    return tuple(check for check in checks if check.standing.holds_up and check.code in NEEDED)
