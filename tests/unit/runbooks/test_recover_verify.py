"""Verdicts of a recovery, and the one line that explains a failure."""

from dataclasses import replace

import pytest

from nodeops.model.facts import PowerState, Server
from nodeops.model.recovering import NO_CONSOLE, RecoverEvidence, Trace
from nodeops.outcome import StepResult, StepState
from nodeops.plan import Action, Plan, ServerPlan, Verdict
from nodeops.runbooks.recover_verify import diagnosis, judge_recovery, telling
from tests.plans.form import server_of

PLANNED = ServerPlan("s1", "web", "SHUTOFF", Action.START)
PLAN = Plan("recover", "c01", "test", {}, (), (PLANNED,))
MISSING = (
    "ERROR Exception during message handling: Cannot reboot instance: "
    "Could not open '/var/lib/nova/instances/_base/ab': No such file or directory"
)
NOISE = "Rebooting instance"
ODD = "ERROR odd thing: 17"


def server(**changes: object) -> Server:
    return replace(server_of({"name": "s1"}, "c01"), **changes)  # type: ignore[arg-type]  # its fields


def step(action: str, state: StepState, words: str = "", request_id: str = "") -> StepResult:
    return StepResult(f"{action}:s1", "s1", action, state, words, request_id)


def judged(
    found: Server | None, *results: StepResult, runs: bool | None = None
) -> tuple[Verdict, str, set[str]]:
    evidence = RecoverEvidence({"s1": found}, {} if runs is None else {"s1": runs})
    (result,), _ = judge_recovery(PLAN, results, evidence)
    return result.verdict, result.reason, {finding.code for finding in result.findings}


def test_a_guest_that_runs_and_showed_life_is_done() -> None:
    alive = step("probe-guest", StepState.SKIPPED)
    assert judged(server(), alive, runs=True) == (Verdict.DONE, "", set())
    assert judged(server(), runs=True)[0] is Verdict.DONE
    assert judged(server(power_state=PowerState.RUNNING))[0] is Verdict.DONE, "nobody else could look"


def test_the_hypervisor_is_believed_and_not_the_record() -> None:
    verdict, reason, _ = judged(server(), runs=False)
    assert verdict is Verdict.LEFT
    assert "does not run any more" in reason


def test_a_silent_guest_runs_but_is_not_verified() -> None:
    silent = step("probe-guest", StepState.BLOCKED, "its guest agent does not answer, for 180 s")
    verdict, _, codes = judged(server(), silent, runs=True)
    assert (verdict, codes) == (Verdict.DONE, {"no-sign-of-life"})


def test_an_image_without_a_console_is_not_blamed() -> None:
    silent = step("probe-guest", StepState.BLOCKED, f"{NO_CONSOLE}, for 180 s")
    verdict, _, codes = judged(server(), silent, runs=True)
    assert (verdict, codes) == (Verdict.DONE, {"no-console"})


def test_a_panic_is_no_life() -> None:
    verdict, reason, _ = judged(
        server(), step("probe-guest", StepState.FAILED, "its kernel panicked"), runs=True
    )
    assert verdict is Verdict.LEFT
    assert "panicked" in reason


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (None, Verdict.LEFT, "does not exist"),
        (server(host="c02"), Verdict.LEFT, "is on c02"),
        (server(task_state="powering-on"), Verdict.UNKNOWN, "powering-on"),
        (server(vm_state="stopped", status="SHUTOFF"), Verdict.LEFT, "SHUTOFF"),
    ],
)
def test_others(found: Server | None, verdict: Verdict, words: str) -> None:
    got, reason, _ = judged(found, runs=False)
    assert got is verdict
    assert words in reason


def test_the_last_attempt_s_words_are_the_reason() -> None:
    results = (
        step("start-guest", StepState.FAILED, "is SHUTOFF after start: first"),
        step("reboot-guest", StepState.FAILED, "is ERROR after the hard reboot: second"),
        step("probe-guest", StepState.BLOCKED, "needs reboot-guest:s1, which failed"),
    )
    _, reason, _ = judged(server(vm_state="error", status="ERROR"), *results, runs=False)
    assert reason.endswith("second")


def test_the_line_that_explains_is_found_among_the_others() -> None:
    line, known = telling([NOISE, MISSING, ODD, NOISE])
    assert known is not None
    assert known.name == "disk-missing"
    assert "_base/ab" in line
    assert line.startswith("Cannot reboot instance")


def test_an_unknown_error_is_shown_as_it_is_with_where_to_look() -> None:
    found = diagnosis("c01", PLANNED, Trace("req-1", (NOISE, ODD, NOISE)))
    assert found is not None
    assert found.code == "not-up"
    assert "odd thing: 17" in found.words
    assert "req-1" in found.hint


def test_a_bare_class_name_is_followed_by_the_line_of_the_log() -> None:
    failed = step("reboot-guest", StepState.FAILED, "is ERROR after the hard reboot: libvirtError", "req-1")
    found = server(vm_state="error", status="ERROR")
    evidence = RecoverEvidence({"s1": found}, {"s1": False}, {"s1": Trace("req-1", (NOISE, MISSING))})
    (result,), _ = judge_recovery(PLAN, [failed], evidence)
    assert "libvirtError: Cannot reboot instance: Could not open" in result.reason


def test_nothing_said_is_no_diagnosis() -> None:
    assert diagnosis("c01", PLANNED, None) is None
    assert diagnosis("c01", PLANNED, Trace("req-1", (NOISE,))) is None


def test_next_commands_name_the_host_and_the_server() -> None:
    found = diagnosis("c01", PLANNED, Trace("req-1", (MISSING,)))
    assert found is not None
    assert "HOST" not in found.hint
    assert "SERVER" not in found.hint
