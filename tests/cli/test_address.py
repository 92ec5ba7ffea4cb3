"""`nodeops address …` from beginning to end on ports in memory."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nodeops.cli.address_errands import check, keep, reserve, show
from nodeops.cli.address_move import move
from nodeops.cli.address_rescue import rescue
from nodeops.cli.address_run import Errand
from nodeops.cli.conduct import resume_run
from nodeops.cli.history import show_run
from nodeops.cli.options import Manner
from nodeops.cli.output import Format
from nodeops.engine.signals import Stop
from nodeops.errors import (
    DeclinedError,
    FailedError,
    FindingsError,
    GoneError,
    InterruptedRunError,
    OutcomeUnknownError,
    RefusedError,
    TimedOutError,
    UsageError,
)
from nodeops.model.addresses import KEPT_FROM, TRIAL, FloatingIp
from tests.cli.fake_desk import FakeDesk, forget_owner, told
from tests.fake_addresses import PROJECT, FakeAddresses, crash, lose_answer, refuse
from tests.fake_world import Crash, FakeWorld, small_cloud

GO = Manner(yes=True, output=Format.JSON)


@pytest.fixture
def world() -> FakeWorld:
    world = small_cloud(servers=0)
    for name in ("s1", "s2"):
        world.nova.add_server(name, "c01", project_id=PROJECT)
    return world


@pytest.fixture
def ports(world: FakeWorld) -> FakeAddresses:
    ports = FakeAddresses(world.nova)
    ports.add("p1", "10.0.0.5", "s1", dns_name="web01", security_groups=("web",))
    ports.add("p2", "10.0.0.6", "s1", nova_s=True, allowed_address_pairs=({"ip_address": "10.0.0.99"},))
    ports.floating_list["f1"] = FloatingIp("f1", "192.0.2.1", "10.0.0.6", "p2")
    return ports


@pytest.fixture
def errand(world: FakeWorld, ports: FakeAddresses, tmp_path: Path) -> Iterator[Errand]:
    with FakeDesk(world, tmp_path) as desk:
        yield Errand(desk, ports, world.nova.clock, GO)


def run_states(errand: Errand) -> list[tuple[str, str]]:
    return [(run.runbook, run.state) for run in errand.desk.journal().runs()]


# -- show


def test_show_tells_of_address_floating_address_and_server(
    errand: Errand, capsys: pytest.CaptureFixture[str]
) -> None:
    for word, expected in (("10.0.0.5", ["p1"]), ("192.0.2.1", ["p2"]), ("s1", ["p1", "p2"])):
        show(errand, word)
        assert [each["port"] for each in told(capsys)["ports"]] == expected
    show(errand, "s1")
    outlives = {each["port"]: each["outlives_server"] for each in told(capsys)["ports"]}
    assert outlives == {"p1": True, "p2": False}
    with pytest.raises(GoneError, match="no port"):
        show(errand, "10.9.9.9")


# -- keep


def test_kept_ports_outlive_the_server_and_their_names_are_noted(
    errand: Errand, ports: FakeAddresses, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(errand, "s1", None, undo=False)
    assert "delete server name-of-s1 soon" in capsys.readouterr().err
    ports.delete_server("s1")
    assert set(ports.port_list) == {"p1", "p2"}
    show(errand, "s1")
    assert {each["kept_from"] for each in told(capsys)["ports"]} == {"s1"}
    move(errand, "10.0.0.5", "s2")
    assert (ports.port_list["p1"].device_id, ports.port_list["p1"].dns_name) == ("s2", "web01")
    assert ports.port_list["p1"].tags == ()


def test_what_is_not_kept_is_gone(ports: FakeAddresses) -> None:
    ports.delete_server("s1")
    assert set(ports.port_list) == {"p1"}


def test_keep_can_be_taken_back_and_done_twice(errand: Errand, ports: FakeAddresses) -> None:
    before = dict(ports.port_list)
    keep(errand, "s1", "10.0.0.6", undo=False)
    assert ports.port_list["p2"].device_id == ""
    assert KEPT_FROM + "s1" in ports.port_list["p2"].tags
    keep(errand, "s1", None, undo=True)
    assert ports.port_list["p2"] == before["p2"]
    keep(errand, "s1", None, undo=True)


def test_nothing_to_keep_is_said(
    errand: Errand, ports: FakeAddresses, capsys: pytest.CaptureFixture[str]
) -> None:
    ports.add("p3", "10.0.0.7", "s2")
    keep(errand, "s2", None, undo=False)
    assert "nothing to do" in told(capsys)["words"]
    assert ports.writes == []


def test_a_busy_server_is_left_alone(errand: Errand, ports: FakeAddresses, world: FakeWorld) -> None:
    world.nova.change("s1", task_state="migrating")
    with pytest.raises(RefusedError, match="is in task migrating"):
        keep(errand, "s1", None, undo=False)
    with pytest.raises(RefusedError, match="is in task migrating"):
        move(errand, "10.0.0.5", "s2")
    assert ports.writes == []


# -- move


def test_a_port_made_beforehand_is_moved_with_its_name(errand: Errand, ports: FakeAddresses) -> None:
    move(errand, "10.0.0.5", "s2")
    port = ports.port_list["p1"]
    assert (port.device_id, port.dns_name, port.security_groups) == ("s2", "web01", ("web",))
    assert run_states(errand) == [("address-move", "finished")]


def test_a_port_that_nova_made_is_made_anew_with_all_that_belongs_to_it(
    errand: Errand, ports: FakeAddresses, capsys: pytest.CaptureFixture[str]
) -> None:
    was = ports.port_list["p2"]
    move(errand, "10.0.0.6", "s2")
    (port,) = ports.ports_with("10.0.0.6")
    assert port.id != "p2"
    assert (port.mac, port.allowed_address_pairs, port.security_groups) == (
        was.mac, was.allowed_address_pairs, was.security_groups,
    )  # fmt: skip
    assert port.device_id == "s2"
    assert ports.floating_list["f1"].port_id == port.id
    assert told(capsys)["changed"] is True


def test_when_the_second_half_fails_it_goes_back(errand: Errand, ports: FakeAddresses) -> None:
    def only_to_s1() -> None:
        if ports.writes.count("attach") == 1:
            refuse("nova answered 400: no such device")()

    ports.faults["attach"] = only_to_s1
    with pytest.raises(FailedError, match=r"is back on server name-of-s1: .*no such device"):
        move(errand, "10.0.0.5", "s2")
    assert (ports.port_list["p1"].device_id, ports.port_list["p1"].dns_name) == ("s1", "web01")
    assert run_states(errand) == [("address-move", "finished")]


def test_when_it_cannot_go_back_either_that_is_said_and_the_same_command_goes_on(
    errand: Errand, ports: FakeAddresses
) -> None:
    ports.faults["attach"] = refuse()
    with pytest.raises(OutcomeUnknownError, match="is on no server"):
        move(errand, "10.0.0.5", "s2")
    assert run_states(errand) == [("address-move", "interrupted")]
    ports.faults.clear()
    move(errand, "10.0.0.5", "s2")
    assert (ports.port_list["p1"].device_id, ports.port_list["p1"].dns_name) == ("s2", "web01")
    assert run_states(errand) == [("address-move", "finished")]


def test_an_attachment_without_an_answer_is_looked_at(errand: Errand, ports: FakeAddresses) -> None:
    ports.after["attach"] = lose_answer
    move(errand, "10.0.0.5", "s2")
    assert ports.port_list["p1"].device_id == "s2"


@pytest.mark.parametrize("address", ["10.0.0.5", "10.0.0.6"])
@pytest.mark.parametrize("name", ["detach", "create_port", "attach"])
@pytest.mark.parametrize("when", ["faults", "after"])
def test_killed_anywhere_the_same_command_ends_it(  # noqa: PLR0917 - fixtures and cases
    errand: Errand, world: FakeWorld, ports: FakeAddresses, tmp_path: Path, address: str, name: str, when: str
) -> None:
    getattr(ports, when)[name] = crash
    if address == "10.0.0.5" and name == "create_port":
        move(errand, address, "s2")
        return
    with pytest.raises(Crash):
        move(errand, address, "s2")
    getattr(ports, when).clear()
    forget_owner(errand.desk)  # type: ignore[arg-type]  # it is one
    world.nova.clock.sleep(30)
    with FakeDesk(world, tmp_path) as desk:
        move(Errand(desk, ports, world.nova.clock, GO), address, "s2")
    (port,) = ports.ports_with(address)
    assert port.device_id == "s2"
    assert ports.floating_list["f1"].port_id == ports.ports_with("10.0.0.6")[0].id


def test_an_address_that_somebody_took_meanwhile_is_told(errand: Errand, ports: FakeAddresses) -> None:
    ports.faults["create_port"] = lambda: ports.add("thief", "10.0.0.6", "s9")
    with pytest.raises(OutcomeUnknownError, match="no equal one can be made"):
        move(errand, "10.0.0.6", "s2")


def test_what_must_not_be_moved_is_refused(errand: Errand, ports: FakeAddresses, world: FakeWorld) -> None:
    ports.port_list["p1"] = replace(ports.port_list["p1"], project_id="another")
    with pytest.raises(RefusedError, match="of project another"):
        move(errand, "10.0.0.5", "s2")
    ports.port_list["p1"] = replace(ports.port_list["p1"], device_owner="network:dhcp")
    with pytest.raises(RefusedError, match="belongs to network:dhcp"):
        move(errand, "10.0.0.5", "s2")
    assert ports.writes == []


def test_asking_comes_first_and_a_dry_run_changes_nothing(
    errand: Errand, ports: FakeAddresses, capsys: pytest.CaptureFixture[str]
) -> None:
    errand.manner = replace(GO, dry_run=True)
    move(errand, "10.0.0.6", "s2")
    shown = capsys.readouterr()
    assert "make an equal one" in shown.err
    assert json.loads(shown.out)["changed"] is False
    errand.manner = Manner()
    with pytest.raises(DeclinedError):
        move(errand, "10.0.0.6", "s2")
    assert ports.writes == []
    assert errand.desk.journal().runs() == ()


def test_the_run_can_be_shown_and_is_gone_on_with_by_its_own_command(
    errand: Errand, ports: FakeAddresses, capsys: pytest.CaptureFixture[str]
) -> None:
    ports.faults["attach"] = refuse()
    with pytest.raises(OutcomeUnknownError):
        move(errand, "10.0.0.5", "s2")
    capsys.readouterr()
    show_run(errand.desk, "last", Format.TABLE)
    assert "detach-port" in capsys.readouterr().out
    with pytest.raises(UsageError, match="gone on with by its own command"):
        resume_run(errand.desk, "last", Manner(yes=True))


# -- reserve


def test_an_address_is_reserved_once(
    errand: Errand, ports: FakeAddresses, capsys: pytest.CaptureFixture[str]
) -> None:
    reserve(errand, "private", "10.0.0.20", "web02.example.com")
    (first,) = told(capsys)["ports"]
    assert (first["addresses"], first["name"], first["dns_name"]) == (
        ["10.0.0.20"], "web02.example.com", "web02",
    )  # fmt: skip
    reserve(errand, "private", "10.0.0.20", "web02.example.com")
    reserve(errand, "private", None, "web02.example.com")
    assert ports.writes == ["create_port"]
    with pytest.raises(RefusedError, match="is used by"):
        reserve(errand, "private", "10.0.0.5", None)


# -- rescue


def trials(ports: FakeAddresses) -> list[str]:
    return [port.id for port in ports.port_list.values() if port.name.startswith(TRIAL)]


def test_the_very_address_is_asked_for(errand: Errand, ports: FakeAddresses) -> None:
    rescue(errand, "private", "10.0.0.50", "web", 10)
    (port,) = ports.ports_with("10.0.0.50")
    assert (port.name, port.free) == ("web", True)
    assert ports.writes == ["create_port", "update_port"]
    rescue(errand, "private", "10.0.0.50", "web", 10)
    assert len(ports.writes) == 2


def test_where_policy_forbids_it_ports_are_made_until_one_has_it(
    errand: Errand, ports: FakeAddresses
) -> None:
    ports.may_ask = False
    rescue(errand, "private", "10.0.0.104", None, 10)
    assert ports.ports_with("10.0.0.104")[0].name == ""
    assert trials(ports) == []
    assert set(ports.port_list) == {"p1", "p2", "made-5"}


def test_the_trial_is_bounded_and_leaves_nothing(errand: Errand, ports: FakeAddresses) -> None:
    ports.may_ask = False
    with pytest.raises(FailedError, match="not met in 3 ports"):
        rescue(errand, "private", "10.0.0.104", None, 3)
    ports.quota = 4
    with pytest.raises(FailedError, match="not met in 2 ports"):
        rescue(errand, "private", "10.0.0.104", None, 10)
    assert set(ports.port_list) == {"p1", "p2"}


def test_a_signal_ends_the_trial_and_leaves_nothing(errand: Errand, ports: FakeAddresses) -> None:
    ports.may_ask = False

    def press() -> None:
        if ports.made == 2:
            os.kill(os.getpid(), signal.SIGINT)

    ports.faults["create_port"] = press
    with Stop().listening() as stop, pytest.raises(InterruptedRunError):
        rescue(errand, "private", "10.0.0.150", None, 20, stop)
    assert set(ports.port_list) == {"p1", "p2"}


def test_what_a_killed_run_left_is_deleted_by_the_next(
    errand: Errand, world: FakeWorld, ports: FakeAddresses, tmp_path: Path
) -> None:
    ports.may_ask = False

    def die() -> None:
        if ports.made == 3:
            ports.faults["delete_port"] = crash
            crash()

    ports.faults["create_port"] = die
    with pytest.raises(Crash):
        rescue(errand, "private", "10.0.0.104", None, 20)
    assert len(trials(ports)) == 3
    ports.faults.clear()
    forget_owner(errand.desk)  # type: ignore[arg-type]  # it is one
    with FakeDesk(world, tmp_path) as desk:
        rescue(Errand(desk, ports, world.nova.clock, GO), "private", "10.0.0.104", None, 20)
    assert trials(ports) == []
    assert len(ports.port_list) == 3


def test_a_lost_answer_leaves_no_port_behind(errand: Errand, ports: FakeAddresses) -> None:
    ports.may_ask = False
    ports.after["create_port"] = lose_answer
    rescue(errand, "private", "10.0.0.104", None, 20)
    assert trials(ports) == []
    assert len(ports.ports_with("10.0.0.104")) == 1


def test_an_address_in_use_is_not_rescued(errand: Errand, ports: FakeAddresses) -> None:
    with pytest.raises(RefusedError, match="is used by"):
        rescue(errand, "private", "10.0.0.5", None, 10)
    assert ports.writes == []


# -- check


def test_an_open_a_refusing_and_a_silent_port(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        check("127.0.0.1", number, 2.0, Format.TABLE)
        assert "is open" in capsys.readouterr().out
    with pytest.raises(FindingsError, match="nothing listens"):
        check("127.0.0.1", number, 2.0, Format.JSON)
    assert told(capsys)["answer"] == "refused"


def test_silence_is_a_timeout() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        number = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.settimeout(0)
            each.connect_ex(("127.0.0.1", number))
        with pytest.raises(TimedOutError, match="no answer within"):
            check("127.0.0.1", number, 0.3, Format.TABLE)
        for each in waiting:
            each.close()
