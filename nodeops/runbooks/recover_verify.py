"""How a recovery ended for each server: by what is seen, and where it failed, why."""

import re
from collections.abc import Iterator, Sequence

from nodeops.model.facts import PowerState, Server
from nodeops.model.recovering import NO_CONSOLE, RecoverEvidence, Trace
from nodeops.outcome import ServerResult, StepResult, StepState
from nodeops.plan import Action, Finding, Level, Plan, ServerPlan, Verdict
from nodeops.runbooks.judging import result_of
from nodeops.runbooks.reattach import Standing, cases
from nodeops.signatures import Rank, Signature, explain

LONGEST_LINE = 300
GOOD = frozenset({StepState.DONE, StepState.SKIPPED})
NOT_BEGUN = frozenset({StepState.PENDING, StepState.SENT})
_BARE = re.compile(r"(?:^|: )\w*(?:Error|Exception|NotFound)$")
_GRAVE = re.compile(r"^(?:ERROR|CRITICAL) ")
_HEAD = re.compile(r"^(?:ERROR|CRITICAL) (?:Exception during message handling: )?")


def judge_recovery(
    plan: Plan, results: Sequence[StepResult], evidence: RecoverEvidence
) -> tuple[tuple[ServerResult, ...], tuple[Finding, ...]]:
    """One verdict for every server of the plan."""
    judged = tuple(_judge(plan, planned, results, evidence) for planned in plan.servers)
    findings = tuple(
        Finding(Level.WARNING, "unseen", f"could not be looked at: {words}") for words in evidence.unseen
    )
    return judged, findings


def _judge(
    plan: Plan, planned: ServerPlan, results: Sequence[StepResult], evidence: RecoverEvidence
) -> ServerResult:
    server = evidence.servers.get(planned.id)
    mine = [each for each in results if each.subject_id == planned.id]
    verdict, reason = _verdict(plan, planned, server, mine, evidence)
    if verdict is Verdict.LEFT and planned.id in evidence.traces:
        reason = _with_line(reason, evidence.traces[planned.id])
    findings = _findings(plan, planned, verdict, mine, evidence) if server is not None else ()
    return result_of(planned, server, mine, (verdict, reason), tuple(findings))


def _verdict(
    plan: Plan,
    planned: ServerPlan,
    server: Server | None,
    mine: Sequence[StepResult],
    evidence: RecoverEvidence,
) -> tuple[Verdict, str]:
    if server is None:
        return Verdict.LEFT, "does not exist any more"
    if planned.action is not Action.START:
        return Verdict.LEFT, "; ".join(each.reason for each in planned.refusals) or planned.why
    if server.host != plan.host:
        return Verdict.LEFT, f"is on {server.host}"
    if server.task_state is not None:
        return Verdict.UNKNOWN, f"is in task {server.task_state}"
    return _of_guest(server, mine, evidence)


def _of_guest(server: Server, mine: Sequence[StepResult], evidence: RecoverEvidence) -> tuple[Verdict, str]:
    probe = _step(mine, "probe-guest")
    if up(server, evidence):
        dead = probe is not None and probe.state is StepState.FAILED
        return (Verdict.LEFT, f"its guest runs, and {probe.words}") if probe and dead else (Verdict.DONE, "")
    told = next((each.words for each in reversed(mine) if each.words and each.state not in GOOD), "")
    tried = [each for each in mine if each.action in {"start-guest", "reboot-guest"} and each.words]
    words = next((each.words for each in reversed(tried) if each.state not in GOOD), told)
    if server.vm_state == "active" and (not words or "runs on" in words):
        words = "was started, and its guest does not run any more"
    return Verdict.LEFT, words or f"is {server.status}, and its guest does not run"


def _with_line(reason: str, trace: Trace) -> str:
    """Nova tells of some errors only the class (`nova/compute/utils.py`, exception_to_dict)."""
    line, _ = telling(trace.lines)
    return f"{reason}: {line}" if line and _BARE.search(reason) else reason


def up(server: Server, evidence: RecoverEvidence) -> bool:
    """ACTIVE, and its guest runs by the hypervisor; by the record where nobody could look."""
    runs = evidence.runs.get(server.id)
    runs = server.power_state == PowerState.RUNNING if runs is None else runs
    return server.vm_state == "active" and server.task_state is None and runs


def _step(mine: Sequence[StepResult], action: str) -> StepResult | None:
    return next((each for each in mine if each.action == action), None)


def _findings(
    plan: Plan,
    planned: ServerPlan,
    verdict: Verdict,
    mine: Sequence[StepResult],
    evidence: RecoverEvidence,
) -> Iterator[Finding]:
    if planned.action is not Action.START:
        return
    if verdict is Verdict.LEFT:
        said = [each.words for each in mine if each.words and each.state not in GOOD]
        found = diagnosis(plan.host, planned, evidence.traces.get(planned.id), said)
        if found is not None:
            yield found
    probe = _step(mine, "probe-guest")
    if verdict is Verdict.DONE and probe is not None and probe.state not in GOOD | NOT_BEGUN:
        yield _silent(planned, probe)
    server = evidence.servers.get(planned.id)
    if verdict is Verdict.DONE and server is not None and server.power_state != PowerState.RUNNING:
        words = f"{planned.name} runs, and its power_state is {server.power_state} for nova"
        yield Finding(Level.ERROR, "states-disagree", words, f"nodeops states {plan.host} --fix", planned.id)
    if verdict is Verdict.DONE and evidence.volumes is not None:
        for case in cases(evidence.volumes):
            if case.server.id == planned.id and case.standing is not Standing.ATTACHED:
                hint = f"nodeops reattach {planned.name}"
                yield Finding(
                    Level.ERROR, f"volume-{case.standing}", f"{planned.name}: {case.words}", hint, planned.id
                )


def _silent(planned: ServerPlan, probe: StepResult) -> Finding:
    """A console without a word is no proof; one that stops at the kernel, or an agent that is silent, is."""
    if probe.words.startswith(NO_CONSOLE):
        words = f"{planned.name} runs, and {probe.words}: whether it lives is not known"
        return Finding(
            Level.WARNING, "no-console", words, "--probe ping or agent asks otherwise.", planned.id
        )
    words = f"{planned.name} runs, and shows no sign of life: {probe.words}"
    hint = f"openstack console log show {planned.id}; --probe none does without."
    return Finding(Level.ERROR, "no-sign-of-life", words, hint, planned.id)


def diagnosis(
    host: str, planned: ServerPlan, trace: Trace | None, words: Sequence[str] = ()
) -> Finding | None:
    """The line that explains it, what it means, and the next command; None when nothing says anything."""
    lines = trace.lines if trace else ()
    line, known = telling([*words, *lines])
    if not line:
        return None
    request = trace.request_id if trace else ""
    said = f"{planned.name}: {known.meaning}: {line}" if known else f"{planned.name}: {line}"
    after = known.next_command if known else f"nodeops trace {request or planned.id}"
    hint = after.replace("HOST", host).replace("SERVER", planned.id)
    return Finding(Level.WARNING, known.name if known else "not-up", said, hint, planned.id)


def telling(lines: Sequence[str]) -> tuple[str, Signature | None]:
    """The line that explains most; of equals the last one; else the last that tells of an error."""
    chosen: tuple[str, Signature] | None = None
    for line in lines:
        known = explain(line)
        if (
            known is not None
            and known.rank > Rank.SYMPTOM
            and (chosen is None or known.rank >= chosen[1].rank)
        ):
            chosen = line, known
    if chosen is not None:
        return _short(chosen[0]), chosen[1]
    grave = [line for line in lines if _GRAVE.search(line)]
    return (_short(grave[-1]), None) if grave else ("", None)


def _short(line: str) -> str:
    """Without its level, and what every failure begins with."""
    return _HEAD.sub("", line).strip()[:LONGEST_LINE]
