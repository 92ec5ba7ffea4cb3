"""A drain whose guests are probed: what is measured comes into its report and into the journal."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from nodeops.cli.conduct import carry_out
from nodeops.cli.history import show_run
from nodeops.cli.options import Manner
from nodeops.cli.output import Format
from nodeops.cli.tasks import Drain
from nodeops.events import Event, StepEnded
from nodeops.model.blackout import Blackout, Way
from nodeops.model.facts import Server
from nodeops.model.probing import Probe
from nodeops.runbooks.options import MoveOptions
from tests.cli.fake_desk import FakeDesk
from tests.fake_world import FakeWorld, small_cloud

DRAIN = Drain("c01", MoveOptions(probe=Way.PING))


@dataclass
class FakeProbe:
    """Measures what it was told to."""

    found: Mapping[str, Blackout]
    ended: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.append("context")

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepEnded):
            self.ended.append(event.step.subject_id)

    def blackouts(self) -> Mapping[str, Blackout]:
        assert self.ended[-1] == "context"
        return self.found


class ProbingDesk(FakeDesk):
    """A desk with a probe that was prepared."""

    def __init__(self, world: FakeWorld, folder: Path) -> None:
        super().__init__(world, folder)
        self.prepared = FakeProbe(
            {
                "s01": Blackout(Way.PING, 0.21),
                "s02": Blackout(Way.PING, None, "192.0.2.2 does not answer a ping"),
                "s03": Blackout(Way.PING, None, "192.0.2.3 answered before its move", silent=True),
            }
        )

    def probe(self, way: Way, servers: Sequence[Server]) -> Probe | None:
        assert {server.id for server in servers} == {"s01", "s02", "s03"}
        return self.prepared if way is Way.PING else None


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ProbingDesk]:
    with ProbingDesk(small_cloud(), tmp_path) as desk:
        yield desk


def test_figures_are_in_the_document_and_in_the_journal(
    desk: ProbingDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carry_out(desk, DRAIN, Manner(yes=True, output=Format.JSON)) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["options"]["probe"] == "ping"
    assert document["blackout"] == {"way": "ping", "measured": 1, "unmeasured": 2, "p50": 0.21, "max": 0.21}
    of = {server["id"]: server["blackout"] for server in document["servers"]}
    assert of["s01"] == {"way": "ping", "seconds": 0.21, "words": ""}
    assert of["s02"]["seconds"] is None
    [finding] = next(server for server in document["servers"] if server["id"] == "s03")["findings"]
    assert (finding["level"], finding["code"]) == ("warning", "silent-since-move")
    show_run(desk, document["run"], Format.JSON)
    assert json.loads(capsys.readouterr().out)["blackout"] == document["blackout"]


def test_the_table_says_how_long_and_whose_is_not_known(
    desk: ProbingDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carry_out(desk, DRAIN, Manner(yes=True)) == 0
    shown = capsys.readouterr().out
    assert "Blackout of 1 guest by ping: p50 0.21 s, max 0.21 s" in shown
    assert "Blackout of name-of-s02 not measured: 192.0.2.2 does not answer a ping" in shown


def test_nobody_measures_unasked(desk: ProbingDesk, capsys: pytest.CaptureFixture[str]) -> None:
    assert carry_out(desk, replace(DRAIN, options=MoveOptions()), Manner(yes=True, output=Format.JSON)) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["blackout"] is None
    assert {server["blackout"] for server in document["servers"]} == {None}
