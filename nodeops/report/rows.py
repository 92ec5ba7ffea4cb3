"""The rows that a plan changes in databases and APIs, each with before and after."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from nodeops.model.rewriting import ROWS
from nodeops.plan import Plan

ROW_TITLES = ("Table", "Row", "Column", "Before", "After")


@dataclass(frozen=True, slots=True)
class RowChange:
    """One value of one row."""

    server: str
    """Its name."""
    server_id: str
    step: str
    table: str
    key: str
    column: str
    before: Any
    after: Any

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        return (self.table, self.key, self.column, _shown(self.before), _shown(self.after))

    @property
    def document(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {
            "server_id": self.server_id,
            "step": self.step,
            "table": self.table,
            "key": self.key,
            "column": self.column,
            "before": self.before,
            "after": self.after,
        }


def row_changes(plan: Plan) -> tuple[RowChange, ...]:
    """In the order in which they are made; empty for plans that ask Nova for everything."""
    return tuple(
        RowChange(step.subject_name, step.subject_id, step.id, str(table), str(key), str(column), old, new)
        for step in plan.steps
        for table, key, column, old, new in cast("Sequence[Sequence[Any]]", step.params.get(ROWS, ()))
    )


def _shown(value: object) -> str:
    return "NULL" if value is None else str(value)
