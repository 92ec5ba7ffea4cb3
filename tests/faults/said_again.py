"""An operator who says the same command again until it has come to its end, and what must have come of it."""

import itertools
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from nodeops.outcome import ServerResult
from nodeops.plan import Finding, Level, Plan
from tests.fake_world import FakeNova, FakeWorld, FaultKind


@dataclass
class Operator(ABC):
    """With one journal, in a directory."""

    afterwards: ClassVar[Mapping[str, str]]
    """The status in which every server has to end."""
    directory: Path
    nova: FakeNova = field(default_factory=FakeNova)
    crashes: int = 0
    calls: int = 0
    first: Plan | None = None
    servers: tuple[ServerResult, ...] = ()
    findings: tuple[Finding, ...] = ()

    def go(
        self, call: int | None = None, kind: FaultKind = FaultKind.CRASH_BEFORE, pause: float = 5.0
    ) -> bool:
        """Whether the fault came at all."""
        world = self.world()
        if call is not None:
            world.faults[call] = kind
        while self.part(world):
            self.crashes += 1
            self.nova.clock.sleep(pause)
            world = self.world()
        return call is not None and call <= self.calls

    def world(self) -> FakeWorld:
        return FakeWorld(self.nova)

    @abstractmethod
    def part(self, world: FakeWorld) -> bool:
        """Say it once. Whether it has to be said again."""

    def check(self, words: str) -> None:
        """Everything left the host as it was foretold, and nothing is wrong with it."""
        assert self.first is not None
        statuses = {server.id: server.status for server in self.nova.servers.values()}
        assert statuses == self.afterwards, words
        assert not any(server.host == "c01" for server in self.nova.servers.values()), words
        wrong = [finding for each in self.servers for finding in each.findings]
        wrong += [finding for finding in self.findings if finding.level is not Level.INFO]
        assert not wrong, (words, wrong)
        foretold = {server.id: server.expected_verdict for server in self.first.servers}
        assert {each.id: each.verdict for each in self.servers} == foretold, (words, self.servers)


def check_at_every_call(make: Callable[[int], Operator], kind: FaultKind, pause: float) -> None:
    """The fault comes at the first call, at the second, …: the end is always the one without it."""
    calm = make(0)
    calm.go()
    once = sorted(calm.nova.arrived)
    for number in itertools.count(1):
        trial = make(number)
        fired = trial.go(number, kind, pause)
        trial.check(f"{kind} at call {number}")
        assert sorted(trial.nova.arrived) == once, f"{kind} at call {number}"
        shutil.rmtree(trial.directory)
        if not fired:
            break
    assert number > 50
