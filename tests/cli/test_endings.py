"""What a run comes down to, and the question before it."""

import io
import sys
from dataclasses import replace

import pytest

from nodeops.cli import ask
from nodeops.cli.exit_codes import ending, exit_code
from nodeops.cli.refusal import objection, with_window
from nodeops.cli.tasks import Drain
from nodeops.errors import DeclinedError, NeedsMoreRiskError, RefusedError
from nodeops.outcome import Outcome
from nodeops.plan import Finding, Level, Plan, Risk, Verdict
from tests.sample import OUTCOME, PLAN

WELL = tuple(server for server in PLAN.servers if not server.refused)


def outcome(*verdicts: Verdict, **more: object) -> Outcome:
    results = [
        replace(OUTCOME.servers[0], id=server.id, name=server.name, verdict=verdict, findings=())
        for server, verdict in zip(WELL, verdicts, strict=False)
    ]
    base = replace(OUTCOME, plan=replace(PLAN, servers=WELL), servers=tuple(results), findings=())
    return replace(base, **more)  # type: ignore[arg-type]  # fields of Outcome


M, L, R, S, U = Verdict.MOVED, Verdict.LEFT, Verdict.ROLLED_BACK, Verdict.SPLIT, Verdict.UNKNOWN
WRONG = (Finding(Level.ERROR, "binding-left", "a binding of port p is left on c01"),)


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        (outcome(M, M), 0),
        (outcome(), 0),
        (outcome(M, L), 11),
        (outcome(M, R), 11),
        (outcome(M, S), 11),
        (outcome(L, R), 10),
        (outcome(M, U), 12),
        (outcome(M, M, findings=WRONG), 13),
        (outcome(M, U, interrupted_by=2), 130),
        (outcome(M, M, interrupted_by=15), 143),
    ],
)
def test_the_exit_code_of_a_run(ended: Outcome, code: int) -> None:
    error = ending(ended)
    assert (exit_code(error) if error else 0) == code
    if error:
        assert error.hint
        assert not error.message.endswith(".")


def test_a_warning_after_a_run_is_no_failure() -> None:
    assert ending(outcome(M, findings=(Finding(Level.WARNING, "x", "look at it"),))) is None


def test_what_somebody_else_deleted_is_not_left() -> None:
    ended = outcome(M, L)
    gone = replace(ended.servers[1], target=None, reason="does not exist any more: deleted")
    assert ending(replace(ended, servers=(ended.servers[0], gone))) is None


def test_success_is_a_sentence() -> None:
    assert Drain("c01").success(outcome(M, M)) == "c01 is empty: 2 servers moved and checked"


def test_refusals_without_an_override_are_refused() -> None:
    error = objection(PLAN, leave_refused=False)
    assert type(error) is RefusedError
    assert "2 servers of 8 refused: scratch, analytics" in error.message


def test_refusals_that_can_all_be_allowed_need_more_risk() -> None:
    servers = tuple(server for server in PLAN.servers if server.name != "analytics")
    error = objection(replace(PLAN, servers=servers), leave_refused=False)
    assert type(error) is NeedsMoreRiskError
    assert "--allow local-disk" in error.hint


def test_leaving_the_refused_is_an_answer_while_there_is_something_else_to_do() -> None:
    assert objection(PLAN, leave_refused=True) is None
    assert objection(replace(PLAN, steps=()), leave_refused=True) is not None


def test_a_finding_that_forbids_the_plan_comes_first() -> None:
    forbidden = Finding(Level.ERROR, "last-host", "c01 is the last host", "Add one.")
    error = objection(replace(PLAN, findings=(forbidden,)), leave_refused=True)
    assert error is not None
    assert error.message == "c01 is the last host"


@pytest.mark.parametrize(("window", "code"), [(3600.0, "window-fits"), (60.0, "window-too-short")])
def test_a_window_is_answered_by_a_finding(window: float, code: str) -> None:
    plan = with_window(PLAN, window)
    assert plan.findings[-1].code == code
    assert plan.digest == PLAN.digest


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def answer(monkeypatch: pytest.MonkeyPatch, text: str, plan: Plan) -> str:
    asked = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(text))
    monkeypatch.setattr(sys, "stderr", asked)
    ask.confirm(plan, "drain c01: move 6 servers?", yes=False)
    return asked.getvalue()


@pytest.mark.parametrize("text", ["y\n", "YES\n"])
def test_yes_is_yes(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    assert answer(monkeypatch, text, PLAN).endswith("[y/N] ")


@pytest.mark.parametrize("text", ["\n", "n\n", "", "yo\n", "c01\n"])
def test_anything_else_is_no(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    with pytest.raises(DeclinedError):
        answer(monkeypatch, text, PLAN)


def test_what_costs_a_reboot_is_confirmed_by_the_host_s_name(monkeypatch: pytest.MonkeyPatch) -> None:
    risky = replace(PLAN, steps=tuple(replace(step, risk=Risk.REBOOT) for step in PLAN.steps))
    assert "The risk is reboot" in answer(monkeypatch, "c01\n", risky)
    with pytest.raises(DeclinedError):
        answer(monkeypatch, "y\n", risky)
