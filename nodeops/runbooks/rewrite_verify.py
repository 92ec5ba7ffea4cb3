"""What came of a rewrite and of its undo, from what is seen now.

A server is MOVED only when everything is seen as it shall be: the API's host and node, its state, its ports,
one attachment for each volume and that the one in its row, its allocation, its row and its tombstone. A row
on one host and the rest on the other is SPLIT.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nodeops.actions.bind_ports import UNBOUND
from nodeops.model.facts import PowerState, Server
from nodeops.model.records import ServerRecord
from nodeops.model.rewriting import RewriteEvidence
from nodeops.outcome import ServerResult, StepResult, StepState
from nodeops.plan import Action, Finding, Level, Plan, ServerPlan, Verdict
from nodeops.runbooks.judging import by_subject, result_of, told, was_touched, why_left


def judge_rewrite(
    plan: Plan, results: Sequence[StepResult], evidence: RewriteEvidence
) -> tuple[tuple[ServerResult, ...], tuple[Finding, ...]]:
    """A verdict for every server of the plan, and what is to be known of the host."""
    steps = by_subject(results)
    servers = tuple(
        _Case(plan, planned, steps.get(planned.id, []), evidence).result() for planned in plan.servers
    )
    return servers, tuple(_of_host(plan, results, servers, evidence))


@dataclass(frozen=True)
class _Case:
    """One server: what was planned, what the run was told, what is seen."""

    plan: Plan
    planned: ServerPlan
    results: Sequence[StepResult]
    evidence: RewriteEvidence

    def result(self) -> ServerResult:
        seen = self.evidence.servers.get(self.planned.id)
        return result_of(self.planned, seen, self.results, self._verdict())

    def _verdict(self) -> tuple[Verdict, str]:
        seen = self.evidence.servers.get(self.planned.id)
        if self.planned.id not in self.evidence.servers:
            return Verdict.UNKNOWN, "could not be looked at"
        if seen is None:
            return Verdict.LEFT, "does not exist any more: deleted"
        if self.planned.refused or self.planned.action is Action.NONE:
            return Verdict.LEFT, why_left(self.planned)
        if self.planned.action is Action.RESTORE:
            return self._restored(seen)
        return self._rewritten(seen)

    def _rewritten(self, seen: Server) -> tuple[Verdict, str]:
        there = str(self.planned.target)
        wrong = list(wrong_on(self.evidence, seen, there, self.planned.state))
        if seen.host == there:
            if not wrong:
                return Verdict.MOVED, ""
            busy = seen.task_state is not None or seen.vm_state == "error"
            return (Verdict.UNKNOWN if busy else Verdict.SPLIT), self._words(wrong[0])
        return self._where_it_was(seen, f"is on {seen.host}, not begun")

    def _restored(self, seen: Server) -> tuple[Verdict, str]:
        home = self.plan.host
        if seen.host != home:
            return Verdict.LEFT, self._words(f"is on {seen.host}, as the rewrite left it")
        wrong = list(wrong_on(self.evidence, seen, home, {}))
        if wrong:
            return Verdict.SPLIT, self._words(wrong[0])
        return Verdict.DONE, ""

    def _where_it_was(self, seen: Server, otherwise: str) -> tuple[Verdict, str]:
        """Its row was not rewritten: left as it was, or by half."""
        if seen.host != self.plan.host:
            return Verdict.LEFT, f"is on {seen.host}: somebody else moved it there"
        if not was_touched(self.results):
            return Verdict.LEFT, self._words(otherwise)
        wrong = list(wrong_on(self.evidence, seen, self.plan.host, {}))
        if wrong:
            return Verdict.SPLIT, self._words(wrong[0])
        return Verdict.LEFT, self._words(f"is on {seen.host} as before")

    def _words(self, otherwise: str) -> str:
        return told(self.results, otherwise)


def wrong_on(
    evidence: RewriteEvidence, seen: Server, host: str, state: Mapping[str, object]
) -> Iterator[str]:
    """Everything about a server that is not as it shall be on that host, in words."""
    records = evidence.records
    record = next((each for each in records.servers if each.id == seen.id), None) if records else None
    yield from _state(seen, host, state)
    yield from _row(evidence, record, host)
    yield from _allocation(evidence, seen, host)
    yield from _ports(evidence, seen, record, host, runs=state.get("power_state") == PowerState.RUNNING)
    yield from _volumes(evidence, seen, record)


def _state(seen: Server, host: str, state: Mapping[str, object]) -> Iterator[str]:
    if seen.host != host:
        yield f"is on {seen.host}"
    if seen.task_state is not None:
        yield f"is still in a task ({seen.task_state})"
    if "vm_state" in state and seen.vm_state != state["vm_state"]:
        yield f"is {seen.vm_state} and was to be {state['vm_state']}"
    if state.get("power_state") == PowerState.RUNNING and seen.power_state != PowerState.RUNNING:
        yield "its guest does not run"


def _row(evidence: RewriteEvidence, record: ServerRecord | None, host: str) -> Iterator[str]:
    records = evidence.records
    if records is None:
        yield "its row could not be looked at"
        return
    node = records.source if host == records.source.host else records.target
    if record is None or node is None:
        yield "it has no row in this cell"
        return
    if (record.host, record.node) != (node.host, node.node):
        yield f"its row says host {record.host}, node {record.node}"
    elif records.schema.has_compute_id and record.compute_id != node.compute_id:
        yield f"its row says compute_id {record.compute_id}, and {host} is {node.compute_id}"
    statuses = {each.status for each in records.tombstones if each.server_id == record.id}
    target = records.target.host if records.target else ""
    if host == target and not statuses & {"done", "completed"}:
        yield "it has no tombstone: the dead host would keep its copy"
    if host == records.source.host and "done" in statuses:
        yield f"its tombstone is still there: {host} would destroy it on its return"


def _allocation(evidence: RewriteEvidence, seen: Server, host: str) -> Iterator[str]:
    records, held = evidence.records, evidence.held
    if held is None or records is None:
        yield "what placement counts could not be seen"
        return
    providers = {records.source.host: evidence.source_provider}
    if records.target is not None:
        providers[records.target.host] = evidence.target_provider
    counted = held.get(seen.id, {})
    if providers.get(host) not in counted:
        yield f"placement does not count it on {host}"
    for other, provider in providers.items():
        if other != host and provider in counted:
            yield f"placement still counts it on {other}"


def _ports(
    evidence: RewriteEvidence, seen: Server, record: ServerRecord | None, host: str, *, runs: bool
) -> Iterator[str]:
    """From Neutron's API, and where that is silent from its rows."""
    if evidence.ports is None:
        for binding in record.bindings if record else ():
            if binding.of_compute and binding.status == "ACTIVE" and binding.host != host:
                yield f"port {binding.port_id} is bound on {binding.host}"
        return
    for port in evidence.ports:
        if port.server_id != seen.id:
            continue
        if port.host != host:
            yield f"port {port.id} is bound on {port.host or 'no host'}"
        elif port.vif_type in UNBOUND:
            yield f"port {port.id} is {port.vif_type} on {host}"
        elif runs and port.is_down:
            yield f"port {port.id} is {port.status} on {host}: look at the network agent there"


def _volumes(evidence: RewriteEvidence, seen: Server, record: ServerRecord | None) -> Iterator[str]:
    if record is None or not record.volumes:
        return
    if evidence.attachments is None:
        yield "how its volumes are attached could not be seen"
        return
    for volume in record.volumes:
        known = [
            each.id
            for each in evidence.attachments
            if (each.server_id, each.volume_id) == (seen.id, volume.volume_id)
        ]
        if known != [volume.attachment_id]:
            count = f"{len(known)} attachments" if len(known) != 1 else "another attachment"
            yield f"volume {volume.volume_id} has {count} than the one in its row"


def _coming_up(plan: Plan, evidence: RewriteEvidence) -> list[str]:
    """Running servers on their target with a port that is bound and not yet ACTIVE."""
    wanted = {each.id: each.target for each in plan.servers if each.state.get("power_state") == 1}
    return sorted(
        {
            port.server_id
            for port in evidence.ports or ()
            if port.host and port.host == wanted.get(port.server_id) and port.is_down
        }
    )


def _of_host(
    plan: Plan, results: Sequence[StepResult], servers: Sequence[ServerResult], evidence: RewriteEvidence
) -> Iterator[Finding]:
    host = plan.host
    for words in evidence.unseen:
        hint = "What cannot be seen is not called verified; look again when it answers."
        yield Finding(Level.ERROR, "unseen", f"could not be asked: {words}", hint)
    coming = _coming_up(plan, evidence)
    if coming:
        words = f"ports of {len(coming)} servers are bound and not yet ACTIVE"
        yield Finding(
            Level.WARNING, "ports-coming-up", words, "Look at the network agent of the target.", host
        )
    saved = next((each for each in results if each.action == "save-images" and each.words), None)
    if saved is not None and saved.state in {StepState.DONE, StepState.SKIPPED}:
        hint = "Keep it secret, and until the host is back: it holds what nodeops undo puts back."
        yield Finding(Level.INFO, "undo-file", saved.words, hint, host)
    moved = sum(each.verdict is Verdict.MOVED for each in servers)
    seen = evidence.source
    if moved and seen is not None and (seen.enabled or not seen.forced_down):
        state = "enabled" if seen.enabled else "no longer forced down"
        hint = f"nodeops failover {host} --method database sets that right."
        words = f"{host} is {state}: it may serve before it is cleaned up"
        yield Finding(Level.ERROR, "host-admitted", words, hint, host)
    if moved:
        words = f"{moved} tombstones wait for {host}: its nova-compute removes its copies when it starts"
        yield Finding(
            Level.INFO, "tombstones", words, f"Before {host} serves again: nodeops readmit {host}", host
        )
