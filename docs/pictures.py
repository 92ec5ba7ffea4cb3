"""Pictures of the real views, made from the values the tests use."""

from nodeops.report.live_view import Picture
from nodeops.report.outcome_view import OutcomeView
from nodeops.report.plan_view import PlanView
from nodeops.report.svg import svg
from nodeops.report.watch import Watch
from tests.sample import BEGAN, EVENTS, OUTCOME, PLAN


def plan() -> str:
    return svg(PlanView(PLAN), command="nodeops drain c01 --dry-run", identity="plan")


def run() -> str:
    watch = Watch(PLAN)
    for event in EVENTS:
        watch(event)
    return svg(Picture(watch, BEGAN + 21), command="nodeops drain c01 --leave-refused", identity="run")


def result() -> str:
    ending = "c01 is not empty: 3 servers are left on it"
    return svg(OutcomeView(OUTCOME, ending, good=False), command="nodeops show last", identity="result")
