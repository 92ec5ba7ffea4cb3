"""Servers in memory, and one `nodeops snapshot` at a time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nodeops.cli.options import Manner
from nodeops.cli.output import Format
from nodeops.cli.snapshot_orders import Orders
from nodeops.cli.snapshot_run import Places, Snapshots, Wish
from nodeops.engine.signals import Stop
from tests.cli.fake_desk import FakeDesk
from tests.fake_nova import FakeNova
from tests.fake_snapshots import FakeCommands, FakeGuestHosts, FakeLogs, FakeSnapshots, Inline
from tests.fake_world import FakeWorld

GO = Manner(yes=True, output=Format.JSON)
DRY = Manner(dry_run=True, output=Format.JSON)
AROUND = Orders(before="stop", after="start")


class Scene:
    """A desk with three servers on c01, and one command."""

    def __init__(self, world: FakeWorld, folder: Path) -> None:
        self.desk = FakeDesk(world, folder)
        self.nova: FakeNova = world.nova
        self.images = FakeSnapshots(world.nova)
        self.hosts = FakeGuestHosts()
        self.logs = FakeLogs()
        self.commands = FakeCommands(world.nova)

    def make(self, *words: str, manner: Manner = GO, **wish: Any) -> int:
        with Stop().listening() as stop:
            return Snapshots(
                self.desk,
                Wish(words, **wish),
                manner,
                Places(self.images, self.hosts, self.commands, self.logs, ("control",)),
                self.nova.clock,
                stop,
                Inline(),
            ).run()

    def at(self, seconds: float, happen: Callable[[], None]) -> None:
        self.nova.at(seconds, happen)

    def run_states(self) -> list[str]:
        return [str(run.state) for run in self.desk.journal().runs()]
