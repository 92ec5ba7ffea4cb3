"""The views, on values."""

import io
import json
from collections.abc import Iterable
from dataclasses import replace

import pytest
from rich.console import RenderableType

from nodeops.events import Event, Noted, Retried, StepEnded, Ticked
from nodeops.model.facts import Progress
from nodeops.outcome import StepResult, StepState
from nodeops.plan import Action, ServerPlan, Verdict
from nodeops.report.console import console
from nodeops.report.json_view import plan_document, run_document
from nodeops.report.live_view import LiveView, Picture, PlainView
from nodeops.report.markdown_view import plan_markdown, run_markdown
from nodeops.report.outcome_view import OutcomeView
from nodeops.report.plan_view import PlanView, summary
from nodeops.report.watch import Phase, Watch
from tests.sample import BEGAN, EVENTS, OUTCOME, PLAN, RUN_ID, SERVERS, STEPS


def text_of(view: RenderableType, width: int) -> str:
    out = console(io.StringIO(), width=width)
    out.print(view)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def watched(events: Iterable[Event]) -> Watch:
    watch = Watch(PLAN)
    for event in events:
        watch(event)
    return watch


@pytest.mark.parametrize("width", [80, 100, 160])
def test_a_plan_shows_every_server_and_fits_the_terminal(width: int) -> None:
    text = text_of(PlanView(PLAN), width)
    assert max(len(line) for line in text.splitlines()) <= width
    first_words = [line.split()[0] for line in text.splitlines() if line.split()]
    assert [server.name for server in SERVERS if server.name not in first_words] == []


def test_a_plan_shows_refusals_with_their_override_and_cost() -> None:
    text = text_of(PlanView(PLAN), 120)
    assert "--allow local-disk  costs: reboot" in text
    assert "nothing allows it" in text
    assert "64 GiB of memory" in text


def test_the_last_line_of_a_plan_counts_everything() -> None:
    assert summary(PLAN) == (
        "Plan: 4 to live-migrate, 1 to cold-migrate, 1 to shelve-offload, 2 refused, 0 nothing to do"
    )
    assert text_of(PlanView(PLAN), 120).splitlines()[-1] == summary(PLAN)


def test_a_plan_shows_hosts_before_and_after() -> None:
    text = text_of(PlanView(PLAN), 80)
    assert "8 → 14 of 64" in text
    assert "79 → 111 of 120 GiB" in text
    assert "hint: Set its nodeops_storage" in text


def test_a_hundred_refused_servers_of_one_reason_are_one_group() -> None:
    many = tuple(replace(SERVERS[6], id=f"id-{n}", name=f"scratch-{n}") for n in range(100))
    text = text_of(PlanView(replace(PLAN, servers=many)), 160)
    assert "local-disk  100 servers" in text
    assert "and 92 more" in text
    assert "scratch-99 " in text


def test_an_empty_host_is_a_plan_too() -> None:
    text = text_of(PlanView(replace(PLAN, servers=(), targets=(), findings=())), 80)
    assert "Plan: 0 refused, 0 nothing to do" in text


def test_no_colour_reaches_what_is_no_terminal() -> None:
    assert "\x1b" not in text_of(PlanView(PLAN), 80)


def test_no_color_is_respected_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    out = console(Terminal(), width=80)
    out.print(PlanView(PLAN))
    assert isinstance(out.file, Terminal)
    assert "\x1b[3" not in out.file.getvalue()
    monkeypatch.delenv("NO_COLOR")
    coloured = console(Terminal(), width=80)
    coloured.print(PlanView(PLAN))
    assert isinstance(coloured.file, Terminal)
    assert "\x1b[3" in coloured.file.getvalue()


@pytest.mark.parametrize("width", [80, 160])
def test_a_run_shows_verdicts_reasons_and_request_ids(width: int) -> None:
    text = text_of(OutcomeView(OUTCOME, "c01 is not empty", good=False), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "↺ rolled back" in text
    assert "memory is dirtied faster" in text
    assert "req-5f0cbd1c" in text
    assert text.splitlines()[-2:] == ["Run: 5 moved, 2 left, 1 rolled back", "c01 is not empty"]


def test_json_of_plan_and_run_have_the_same_shape() -> None:
    plan = plan_document(PLAN, exit_code=5, dry_run=True)
    run = run_document(OUTCOME, exit_code=11)
    assert list(plan) == list(run)
    assert list(plan["servers"][0]) == list(run["servers"][0])
    assert plan["run"] is None
    assert run["run"] == RUN_ID
    assert json.loads(json.dumps(run)) == run


def test_json_of_a_plan_expects_and_json_of_a_run_tells() -> None:
    plan = {s["name"]: s for s in plan_document(PLAN, exit_code=5, dry_run=True)["servers"]}
    run = {s["name"]: s for s in run_document(OUTCOME, exit_code=11)["servers"]}
    assert plan["cache-1"]["verdict"] == "MOVED"
    assert run["cache-1"]["verdict"] == "ROLLED BACK"
    assert run["cache-1"]["request_id"].startswith("req-")
    assert plan["scratch"]["class"] == "local-disk"
    assert plan["scratch"]["override"] == "--allow local-disk"
    assert plan["scratch"]["verdict"] == run["scratch"]["verdict"] == "LEFT"


def test_a_server_that_came_after_the_plan_is_in_the_run() -> None:
    late = replace(OUTCOME.servers[0], id="late", name="latecomer", verdict=Verdict.LEFT)
    run = run_document(replace(OUTCOME, servers=(*OUTCOME.servers, late)), exit_code=11)
    assert [server["name"] for server in run["servers"]][-1] == "latecomer"


def test_markdown_holds_every_server_and_a_name_cannot_break_the_table() -> None:
    odd = ServerPlan(id="x", name="a|b", status="ACTIVE", action=Action.NONE)
    text = plan_markdown(replace(PLAN, servers=(*SERVERS, odd)))
    assert all(f"| {server.name} |" in text for server in SERVERS)
    assert "| a\\|b | ACTIVE | nothing to do |" in text
    assert "| scratch | local-disk |" in text
    assert "**ROLLED BACK**" in run_markdown(OUTCOME, "c01 is not empty")


def test_a_watch_tells_progress_and_the_time_left() -> None:
    watch = watched(EVENTS)
    row = watch.rows[STEPS["db-primary"].subject_id]
    assert row.phase is Phase.MOVING
    assert row.rate == pytest.approx(500 * 1024 * 1024)
    assert row.eta == pytest.approx(58.0)
    assert watch.counts() == {Phase.WAITING: 3, Phase.MOVING: 2, Phase.ENDED: 1, Phase.FAILED: 0}


def test_a_second_pass_over_memory_does_not_give_a_negative_rate() -> None:
    step = STEPS["db-primary"]
    again = Ticked(BEGAN + 30, {step.id: 16.0}, {step.subject_id: Progress(1, "running", 100, 10, 90)})
    assert watched((*EVENTS, again)).rows[step.subject_id].rate >= 0


def test_a_retry_waits_and_a_failure_keeps_its_words() -> None:
    step = STEPS["cache-1"]
    failed = StepResult(step.id, step.subject_id, step.action, StepState.FAILED, "aborted by nova")
    retried = watched((*EVENTS, Retried(replace(step, target="c04"), "c03 refused it", BEGAN + 21)))
    assert retried.rows[step.subject_id].phase is Phase.WAITING
    assert retried.rows[step.subject_id].target == "c04"
    ended = watched((*EVENTS, StepEnded(step, failed, BEGAN + 22)))
    assert ended.rows[step.subject_id].phase is Phase.FAILED
    assert "aborted by nova" in text_of(Picture(ended, BEGAN + 22), 120)


@pytest.mark.parametrize("width", [80, 160])
def test_the_picture_of_a_run_shows_all_servers_and_totals(width: int) -> None:
    text = text_of(Picture(watched(EVENTS), BEGAN + 21), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "58 s left" in text
    assert "1 of 6 done  2 moving  3 waiting" in text
    assert "550 MiB/s in all" in text
    assert "waits for 2 of 2 migrations" in text


def test_a_low_terminal_keeps_what_moves() -> None:
    out = console(io.StringIO(), width=80)
    out.height = 15
    out.print(Picture(watched(EVENTS), BEGAN + 21))
    assert isinstance(out.file, io.StringIO)
    text = out.file.getvalue()
    assert "db-primary" in text
    assert "cache-1" in text
    assert "old-report" not in text
    assert "and 4 more" in text


def test_the_live_view_draws_and_cleans_up() -> None:
    out = console(io.StringIO(), width=100)
    with LiveView(PLAN, out, lambda: BEGAN + 21) as live:
        for event in EVENTS:
            live(event)
    assert live.watch.run_id == RUN_ID


def test_plain_lines_tell_each_event_once() -> None:
    out = console(io.StringIO(), width=80)
    with PlainView(PLAN, out) as plain:
        for event in (*EVENTS, EVENTS[-1], Noted("the link is down", BEGAN + 25, warning=True)):
            plain(event)
    assert isinstance(out.file, io.StringIO)
    lines = out.file.getvalue().splitlines()
    assert len([line for line in lines if "waits for 2 of 2" in line]) == 1
    assert lines[-1].endswith("warning: the link is down")
    assert any("web-1: live-migrate done on c02" in line for line in lines)


def test_what_an_earlier_part_of_the_run_did_is_done() -> None:
    step = STEPS["web-1"]
    watch = Watch(PLAN)
    watch.seed([StepResult(step.id, step.subject_id, step.action, StepState.DONE, target="c04", seconds=9.0)])
    row = watch.rows[step.subject_id]
    assert (row.phase, row.target, row.took) == (Phase.ENDED, "c04", 9.0)
    assert watch.counts()[Phase.ENDED] == 1
