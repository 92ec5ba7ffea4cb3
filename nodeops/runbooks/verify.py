"""What came of a plan, from what is seen now.

A verdict rests on the server, its migrations and its ports; what the run was told serves only for the words
of the reason, and for a split that a look settled. What could not be asked is never taken for good.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nodeops.model.facts import Evidence, Migration, PowerState, Server
from nodeops.outcome import ServerResult, StepResult
from nodeops.plan import Action, Finding, Plan, ServerPlan, Step, Verdict
from nodeops.runbooks import checks
from nodeops.runbooks.judging import TOUCHED, by_subject, result_of, told, was_touched, why_left

ROLLED_BACK = frozenset({"failed", "cancelled"})
"""Of a migration that was begun and undone (`nova/compute/manager.py`, `_rollback_live_migration`)."""
OFFLOADED = "shelved_offloaded"
RETURNS = frozenset({"undrain", "readmit"})
"""Runbooks that bring servers to the host of the plan."""


def judge(
    plan: Plan, step_results: Sequence[StepResult], evidence: Evidence
) -> tuple[tuple[ServerResult, ...], tuple[Finding, ...]]:
    """A verdict for every server of the plan, and what is wrong with the host."""
    results, steps = by_subject(step_results), by_subject(plan.steps)
    servers = tuple(
        _Case(plan, planned, steps.get(planned.id, []), results.get(planned.id, []), evidence).result()
        for planned in plan.servers
    )
    return servers, tuple(checks.of_host(plan, servers, evidence))


@dataclass(frozen=True)
class _Case:
    """One server: what was planned, what the run was told, what is seen."""

    plan: Plan
    planned: ServerPlan
    steps: Sequence[Step]
    results: Sequence[StepResult]
    evidence: Evidence

    def result(self) -> ServerResult:
        judged = self._verdict()
        seen = self.evidence.servers.get(self.planned.id)
        return result_of(self.planned, seen, self.results, judged, self._findings(judged[0], seen))

    def _findings(self, verdict: Verdict, seen: Server | None) -> tuple[Finding, ...]:
        if verdict is not Verdict.MOVED or seen is None:
            return ()
        dead = self.plan.runbook == "failover"
        return tuple(checks.of_server(self.planned, seen, self.source, self.evidence, dead=dead))

    # -- where it was to leave from, and whether it has

    @property
    def source(self) -> str:
        """The host it was to leave: the drained one, or on the way back the one it was on."""
        leaving = [step.source for step in self.steps if step.source]
        return leaving[0] if leaving else self.plan.host

    @property
    def _away(self) -> bool:
        """On the way back a server is where it shall be only on the host of the plan."""
        seen = self.evidence.servers.get(self.planned.id)
        if self.plan.runbook in RETURNS:
            return seen is not None and seen.host == self.plan.host
        return seen is not None and seen.host != self.source

    def _verdict(self) -> tuple[Verdict, str]:
        if self.planned.id not in self.evidence.servers:
            return Verdict.UNKNOWN, "could not be looked at"
        seen = self.evidence.servers[self.planned.id]
        if seen is None:
            return Verdict.LEFT, "does not exist any more: deleted"
        if self._stays:
            return self._not_touched(seen)
        if seen.task_state is not None:
            return self._busy(seen)
        if seen.host is None:
            return self._off_all_hosts(seen)
        return self._elsewhere(seen) if self._away else self._not_away(seen)

    @property
    def _stays(self) -> bool:
        return self.planned.refused or self.planned.action is Action.NONE

    def _not_touched(self, seen: Server) -> tuple[Verdict, str]:
        unconfirmed = seen.vm_state == "resized"  # refused for the old disk that it still has here
        if self._away and not self._settled_elsewhere and not unconfirmed:
            return Verdict.MOVED, f"is on {seen.host or 'no host'}: somebody else moved it"
        return Verdict.LEFT, why_left(self.planned)

    @property
    def _settled_elsewhere(self) -> bool:
        """On the way back, a server that was left alone because of where it is."""
        return self.plan.runbook in RETURNS

    # -- seen with a task

    def _busy(self, seen: Server) -> tuple[Verdict, str]:
        words = f"is still in a task ({seen.task_state}) on {seen.host or 'no host'}"
        newest = self._newest
        if seen.task_state == "migrating" and newest and newest.status == "completed" and not self._away:
            return (
                Verdict.SPLIT,
                f"nova calls its migration completed, and its record is still on {seen.host}",
            )
        if not self._touched:
            return Verdict.LEFT, self._words(words)
        return Verdict.UNKNOWN, words

    # -- seen off every host

    def _off_all_hosts(self, seen: Server) -> tuple[Verdict, str]:
        if self.planned.state.get("vm_state") == OFFLOADED and seen.vm_state == OFFLOADED:
            return Verdict.MOVED, ""
        if self._touched:
            words = f"is {seen.status}, on no host, and was not brought back"
            return Verdict.SPLIT, self._words(words)
        return Verdict.LEFT, f"is {seen.status}, on no host: somebody else shelved it"

    # -- seen where it shall be

    def _elsewhere(self, seen: Server) -> tuple[Verdict, str]:
        if seen.vm_state == "error":
            guest = "its guest runs" if seen.power_state == PowerState.RUNNING else "its guest does not run"
            return Verdict.UNKNOWN, self._words(f"is on {seen.host} in ERROR, {guest}")
        if seen.vm_state == "resized":
            words = f"is on {seen.host}, not confirmed: its old disk is still on {self.source}"
            return Verdict.SPLIT, self._words(words)
        stray = self._ports_elsewhere(seen)
        if stray:
            return Verdict.SPLIT, f"is on {seen.host}, and its ports are bound on {', '.join(stray)}"
        if not self._touched:
            return Verdict.MOVED, f"is on {seen.host}: somebody else moved it"
        return Verdict.MOVED, ""

    def _ports_elsewhere(self, seen: Server) -> list[str]:
        """All its ports are bound on another host than it is on: one of the two is wrong."""
        hosts = {port.host for port in self.evidence.ports if port.server_id == seen.id and port.host}
        return sorted(hosts) if hosts and seen.host not in hosts else []

    # -- seen where it was

    def _not_away(self, seen: Server) -> tuple[Verdict, str]:
        if seen.host not in {self.source, self.plan.host}:
            return Verdict.LEFT, f"is on {seen.host}: somebody else moved it there"
        if not self._touched:
            return Verdict.LEFT, self._words(f"is on {seen.host}, not begun")
        if any(result.verdict is Verdict.SPLIT for result in self.results) or self._ports_elsewhere(seen):
            return Verdict.SPLIT, self._words(f"nova's records contradict each other: it is on {seen.host}")
        newest = self._newest
        if newest is not None and not newest.ended:
            return Verdict.UNKNOWN, f"its migration is still {newest.status}"
        if self._rolled_back(newest):
            return Verdict.ROLLED_BACK, self._words("its migration was undone")
        state = "in ERROR" if seen.vm_state == "error" else "as before"
        return Verdict.LEFT, self._words(f"is on {seen.host} {state}")

    def _rolled_back(self, newest: Migration | None) -> bool:
        """A failed evacuation undoes nothing: there is no guest to go back to."""
        if newest is None or newest.type == "evacuation":
            return False
        return newest.status in ROLLED_BACK and self._was_begun

    @property
    def _touched(self) -> bool:
        return was_touched(self.results)

    @property
    def _was_begun(self) -> bool:
        moving = {step.id for step in self.steps if step.source}
        return any(
            each.step_id in moving and each.attempts and each.state in TOUCHED for each in self.results
        )

    @property
    def _newest(self) -> Migration | None:
        return next((each for each in self.evidence.migrations if each.server_id == self.planned.id), None)

    def _words(self, otherwise: str) -> str:
        return told(self.results, otherwise)
