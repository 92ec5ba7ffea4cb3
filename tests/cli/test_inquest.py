"""`nodeops inquest` and its fence from beginning to end, with a world and hosts in memory."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nodeops.cli.conduct import carry_out, resume_run
from nodeops.cli.fence_task import Fencing, settled
from nodeops.cli.inquiring import inquire, show_inquest
from nodeops.cli.options import Manner
from nodeops.cli.output import Format
from nodeops.engine.journal import RunState
from nodeops.errors import (
    ApiError,
    CannotTellError,
    ConfigurationError,
    DeclinedError,
    FailedError,
    HostLivesError,
    NodeopsError,
    NotVerifiedError,
)
from nodeops.model.facts import Life, NetworkAgent
from nodeops.model.senses import Heard, Power, PowerAction
from tests.cli.fake_desk import FakeDesk, forget_owner, told
from tests.fake_world import Crash, FakeWorld, small_cloud

GO = Manner(yes=True)
INVENTORY = "[compute]\nc01 nodeops_fence_command='bmc {host} {action}'\nc02\n"


@pytest.fixture
def world() -> FakeWorld:
    """c01 is silent."""
    world = small_cloud()
    host = world.nova.hosts["c01"]
    world.nova.hosts["c01"] = replace(host, up=False, last_seen="2026-11-18T11:00:00")
    return world


@pytest.fixture
def desk(world: FakeWorld, tmp_path: Path) -> Iterator[FakeDesk]:
    with FakeDesk(world, tmp_path) as desk:
        (tmp_path / "inventory.ini").write_text(INVENTORY)
        desk.said = replace(desk.said, inventory=str(tmp_path / "inventory.ini"))
        desk.hosts.powers = [Power.ON]
        yield desk


def held(desk: FakeDesk, output: Format = Format.JSON) -> None:
    show_inquest(desk, inquire(desk, "c01"), output)


def test_dead_is_success(desk: FakeDesk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.hosts.powers = [Power.OFF]
    held(desk)
    document = told(capsys)
    assert (document["life"], document["exit_code"]) == ("DEAD", 0)
    assert document["next"].startswith("nodeops failover c01")
    assert {"source", "life", "seen", "proves"} == document["signs"][0].keys()


@pytest.mark.parametrize(
    ("heard", "error", "life"),
    [(True, HostLivesError, "ALIVE"), (False, CannotTellError, "CANNOT TELL")],
)
def test_the_other_verdicts_have_codes_of_their_own(
    desk: FakeDesk,
    capsys: pytest.CaptureFixture[str],
    error: type[NodeopsError],
    life: str,
    *,
    heard: bool,
) -> None:
    desk.hosts.pinged = Heard(answered=heard, words="?")
    with pytest.raises(error) as raised:
        held(desk)
    document = told(capsys)
    assert (document["life"], document["exit_code"]) == (life, raised.value.exit_code)
    assert raised.value.hint == document["next"]


@pytest.mark.parametrize("output", [Format.TABLE, Format.MARKDOWN])
def test_every_sign_is_shown_with_what_it_proves(
    desk: FakeDesk, capsys: pytest.CaptureFixture[str], output: Format
) -> None:
    with pytest.raises(CannotTellError):
        held(desk, output)
    shown = capsys.readouterr().out
    for words in (
        "nova-compute",
        "network agent",
        "power",
        "ping",
        "CANNOT TELL",
        "its servers may be running",
    ):
        assert words in shown


def test_looking_writes_nothing(desk: FakeDesk, world: FakeWorld) -> None:
    with pytest.raises(CannotTellError):
        held(desk)
    assert world.writes == []
    assert desk.hosts.switched == []


def test_fencing_powers_off_proves_it_and_is_a_run(desk: FakeDesk) -> None:
    assert carry_out(desk, Fencing("c01"), GO) == 0
    assert desk.hosts.switched == [PowerAction.OFF]
    assert settled(desk, "c01").life is Life.DEAD
    runs = desk.journal().runs()
    assert [(run.runbook, run.host, run.state) for run in runs] == [("fence", "c01", RunState.FINISHED)]


def test_what_is_off_already_is_not_switched(desk: FakeDesk) -> None:
    desk.hosts.powers = [Power.OFF]
    assert carry_out(desk, Fencing("c01"), GO) == 0
    assert desk.hosts.switched == []


def test_a_dry_run_switches_nothing(desk: FakeDesk, capsys: pytest.CaptureFixture[str]) -> None:
    assert carry_out(desk, Fencing("c01"), Manner(dry_run=True, output=Format.JSON)) == 0
    assert told(capsys)["runbook"] == "fence"
    assert desk.hosts.switched == []


def test_yes_is_not_enough_for_a_host_that_lives(desk: FakeDesk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.hosts.pinged = Heard(answered=True, words="answers")
    with pytest.raises(DeclinedError, match="c01 lives") as raised:
        carry_out(desk, Fencing("c01"), GO)
    assert desk.hosts.switched == []
    carry_out(desk, Fencing("c01"), Manner(dry_run=True, output=Format.JSON))
    assert "--confirm c01@" in raised.value.hint


def test_a_living_host_is_fenced_when_its_very_plan_is_confirmed(
    desk: FakeDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.hosts.pinged = Heard(answered=True, words="answers")
    carry_out(desk, Fencing("c01"), Manner(dry_run=True, output=Format.JSON))
    digest = told(capsys)["digest"]
    carry_out(desk, Fencing("c01", confirmed=f"c01@{digest}"), GO)
    assert desk.hosts.switched == [PowerAction.OFF]


def test_power_that_does_not_go_off_is_not_verified(desk: FakeDesk) -> None:
    desk.hosts.obeys = False
    with pytest.raises(NotVerifiedError, match="not proved off"):
        carry_out(desk, Fencing("c01"), GO)
    assert desk.hosts.switched == [PowerAction.OFF]


def test_power_that_cannot_be_asked_is_switched_and_not_proved(desk: FakeDesk) -> None:
    desk.hosts.powers, desk.hosts.obeys = [Power.UNKNOWN], False
    with pytest.raises(NotVerifiedError, match="not proved off"):
        carry_out(desk, Fencing("c01"), GO)
    assert desk.hosts.switched == [PowerAction.OFF]


def test_a_controller_that_refuses_is_told_in_its_words(desk: FakeDesk) -> None:
    desk.hosts.refuses = ApiError("ipmitool ended with 1: Unable to establish session")
    with pytest.raises((FailedError, NotVerifiedError), match="Unable to establish session"):
        carry_out(desk, Fencing("c01"), GO)


def test_a_host_without_a_fence_command_cannot_be_fenced(desk: FakeDesk) -> None:
    with pytest.raises(ConfigurationError, match="c02: no fence command") as raised:
        carry_out(desk, Fencing("c02"), GO)
    assert "nodeops_fence_command" in raised.value.hint


def test_a_fence_that_was_cut_off_goes_on(desk: FakeDesk, capsys: pytest.CaptureFixture[str]) -> None:
    class Dying(type(desk.hosts)):  # type: ignore[misc]  # of a variable
        def switch(self, host: str, action: PowerAction) -> str:
            super().switch(host, action)
            raise Crash

    whole = desk.hosts
    desk.hosts = Dying(powers=[Power.ON])
    with pytest.raises(Crash):
        carry_out(desk, Fencing("c01"), GO)
    forget_owner(desk)
    whole.powers = [Power.OFF]
    desk.hosts = whole
    resume_run(desk, "last", GO)
    assert whole.switched == []
    assert desk.journal().runs()[0].state is RunState.FINISHED


def test_heartbeats_from_before_are_waited_for(desk: FakeDesk, world: FakeWorld) -> None:
    class WithoutAgents(FakeWorld):
        def agents_on(self, host: str) -> tuple[NetworkAgent, ...]:  # noqa: ARG002 - all are alike
            return ()

    desk.fake, desk.hosts.powers = WithoutAgents(world.nova), [Power.OFF]
    host = world.nova.hosts["c01"]
    world.nova.hosts["c01"] = replace(host, up=True, last_seen="2026-11-18T11:06:40")
    assert settled(desk, "c01").life is Life.DEAD
    assert world.nova.clock.slept
