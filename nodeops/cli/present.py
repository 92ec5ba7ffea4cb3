"""What the operator is shown, on which stream, in which format."""

import time
from collections.abc import Sequence

from nodeops.cli.desk import Desk
from nodeops.cli.exit_codes import exit_code
from nodeops.cli.options import Manner
from nodeops.cli.output import Format, error_value
from nodeops.cli.showing import Shown, show
from nodeops.errors import NodeopsError
from nodeops.outcome import Outcome
from nodeops.plan import Plan
from nodeops.report.json_view import plan_document, run_document
from nodeops.report.live_view import LiveView, PlainView
from nodeops.report.markdown_view import plan_markdown, run_markdown
from nodeops.report.outcome_view import OutcomeView
from nodeops.report.plan_view import PlanView


class Presenter:
    """Data to stdout: the plan of a dry run, the result of a run. Everything on the way there to stderr."""

    def __init__(self, desk: Desk, manner: Manner) -> None:
        self.desk = desk
        self.format = manner.output
        self.dry_run = manner.dry_run
        self._out = desk.out()
        self._err = desk.err()

    def say(self, words: str) -> None:
        """A line of progress."""
        self._err.print(words, soft_wrap=True)

    def plan_before_asking(self, plan: Plan) -> None:
        """The plan of a run: part of the result in a table, else only what the question is about."""
        if self.format is Format.TABLE:
            self._out.print(PlanView(plan))
        elif self._err.is_terminal:
            self._err.print(PlanView(plan))

    def plan(
        self,
        plan: Plan,
        *,
        error: NodeopsError | None = None,
        code: int = 0,
        statements: Sequence[str] = (),
    ) -> None:
        """The plan as the command's result, with the SQL it stands for."""
        if error is not None:
            code = exit_code(error)
        told: dict[str, object] = {"error": error_value(error)} if error else {}
        told |= {"statements": list(statements)} if statements else {}
        shown = Shown(
            lambda: plan_document(plan, exit_code=code, dry_run=self.dry_run) | told,
            lambda: plan_markdown(plan, statements),
            lambda _width: [PlanView(plan), *statements],
        )
        show(self.desk, self.format, shown)

    def not_run(self, plan: Plan, error: NodeopsError) -> None:
        """The result of a run that did not come about; the plan was shown before."""
        if self.format is Format.JSON:
            self.plan(plan, error=error)

    @property
    def live(self) -> bool:
        """Whether somebody watches a terminal."""
        return self._err.is_terminal

    def watcher(self, plan: Plan) -> LiveView | PlainView:
        """What listens to the run."""
        if self._err.is_terminal:
            return LiveView(plan, self._err, time.time)
        return PlainView(plan, self._err)

    def outcome(self, outcome: Outcome, words: str, error: NodeopsError | None) -> None:
        """The run as the command's result."""
        told = {"error": error_value(error)} if error else {}
        # An error's message comes on stderr, in the form of all errors.
        said = "" if error else words
        shown = Shown(
            lambda: run_document(outcome, exit_code=exit_code(error) if error else 0) | told,
            lambda: run_markdown(outcome, words),
            lambda _width: ["", OutcomeView(outcome, said, good=error is None)],
        )
        show(self.desk, self.format, shown)

    def stale(self, lines: Sequence[str]) -> None:
        """The difference between what was approved and what is."""
        for line in lines:
            self.say(f"  {line}")
