"""Who is saved first: the operator's order, as `--priority` gives it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from nodeops.model.facts import Server


@dataclass(frozen=True, slots=True)
class Priority:
    """Servers of one kind: those with this metadata, flavor or project."""

    kind: str
    """metadata, flavor or project."""
    value: str
    key: str = ""
    """Of the metadata."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """`metadata:KEY=VALUE`, `flavor:NAME` or `project:ID`; raises `ValueError` for anything else."""
        kind, colon, rest = text.partition(":")
        key, equals, value = rest.partition("=") if kind == "metadata" else ("", "=", rest)
        if kind not in {"metadata", "flavor", "project"} or not colon or not equals or not value:
            raise ValueError(text)
        if kind == "metadata" and not key:
            raise ValueError(text)
        return cls(kind, value, key)

    def __str__(self) -> str:
        return f"{self.kind}:{self.key}={self.value}" if self.key else f"{self.kind}:{self.value}"

    def fits(self, server: Server) -> bool:
        if self.kind == "metadata":
            return server.metadata.get(self.key) == self.value
        return self.value == (server.flavor.name if self.kind == "flavor" else server.project_id)


def rank(server: Server, order: Sequence[Priority]) -> int:
    """Its place: 0 for the first kind named, and the last for those of none."""
    return next((place for place, each in enumerate(order) if each.fits(server)), len(order))
