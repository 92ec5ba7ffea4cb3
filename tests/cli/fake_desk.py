"""A desk before the world in memory, and what its commands have said."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from nodeops.cli.desk import Desk
from nodeops.cli.globals import Globals
from nodeops.engine import schema
from nodeops.engine.clock import Clock
from nodeops.engine.signals import Stop
from nodeops.gather.inquest import Patience
from nodeops.model.senses import PowerSwitch, Senses
from nodeops.model.tracing import Logs
from nodeops.model.world import World
from tests.fake_senses import FakeSenses
from tests.fake_world import FakeWorld


class FakeDesk(Desk):
    """A desk with the world in memory and its clock."""

    def __init__(self, world: FakeWorld, folder: Path) -> None:
        super().__init__(Globals(journal=f"sqlite:///{folder / 'journal.db'}"))
        self.fake = world
        self.hosts = FakeSenses()
        self.host_logs: Logs | None = None

    def world(self) -> World:
        return self.fake

    def senses(self) -> Senses:
        return self.hosts

    def power_switch(self) -> PowerSwitch:
        return self.hosts

    def logs(self, connect_seconds: float = 0.0) -> Logs | None:  # noqa: ARG002 - nobody is connected to
        return self.host_logs

    def patience(self) -> Patience:
        return Patience(sleep=lambda _seconds: None)

    def now(self) -> float:
        return self.fake.nova.clock.now()

    def clock(self, stop: Stop) -> Clock:  # noqa: ARG002 - the fake clock moves by itself
        return self.fake.nova.clock


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def verdicts(document: Any) -> dict[str, str]:
    return {server["id"]: server["verdict"] for server in document["servers"]}


def forget_owner(desk: FakeDesk) -> None:
    """The process that crashed was this one; a dead one would have another start time."""
    with desk.journal().engine.begin() as connection:
        connection.execute(update(schema.runs).values(owner_start="1"))
