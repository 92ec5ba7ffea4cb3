"""`nodeops host` and `nodeops ready` on hosts in memory."""

from pathlib import Path

import pytest

from nodeops.cli.host_service import Change, change_services, show_conditions, show_logs
from nodeops.cli.options import Manner
from nodeops.cli.output import Format
from nodeops.cli.ready import accepted
from nodeops.cli.readying import show_readiness
from nodeops.engine.journal import Who
from nodeops.errors import (
    DeclinedError,
    FindingsError,
    HostBusyError,
    PartlyDoneError,
    SshError,
    SshReason,
    UnknownHostError,
    UsageError,
)
from nodeops.model.machine import ServiceState
from nodeops.runbooks.service import Verb
from tests.cli.fake_desk import told
from tests.cli.test_maintain import Site
from tests.unit.engine.plans import disable, drain

GO = Manner(yes=True, output=Format.JSON)
HOSTS = ("c01", "c02", "c03")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def change(site: Site, verb: Verb, *, hosts: tuple[str, ...] = HOSTS, keep: bool = False) -> int:
    with site.desk() as desk:
        return change_services(desk, Change(hosts, verb, keep, 1), GO)


def states(site: Site) -> list[ServiceState]:
    return [site.machine.host(name).state for name in HOSTS]


def test_many_hosts_are_stopped_and_started_again(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert change(site, Verb.STOP, keep=True) == 0
    assert told(capsys)["done"] == list(HOSTS)
    assert states(site) == [ServiceState.STOPPED] * 3
    assert all(site.machine.host(name).masked for name in HOSTS)
    assert change(site, Verb.START) == 0
    assert states(site) == [ServiceState.RUNNING] * 3
    assert not any(site.machine.host(name).masked for name in HOSTS)


def test_what_is_so_already_is_not_touched(site: Site) -> None:
    assert change(site, Verb.START) == 0
    assert not any(call.write for call in site.machine.calls)
    with site.desk() as desk:
        assert desk.journal().runs() == ()


def test_a_restart_is_journaled_for_each_host(site: Site) -> None:
    assert change(site, Verb.RESTART, hosts=("c01", "c02")) == 0
    with site.desk() as desk:
        runs = desk.journal().runs()
    assert {(run.host, run.runbook, run.exit_code) for run in runs} == {
        ("c01", "service", 0),
        ("c02", "service", 0),
    }


def test_a_host_that_cannot_be_looked_at_keeps_all_from_being_touched(site: Site) -> None:
    site.machine.errors["c02"] = SshError("c02: no route", reason=SshReason.UNREACHABLE)
    with pytest.raises(SshError, match="c02: no route"):
        change(site, Verb.STOP)
    assert not any(call.write for call in site.machine.calls)


def test_one_that_does_not_start_is_told_apart(site: Site) -> None:
    change(site, Verb.STOP)
    site.machine.host("c02").starts = False
    with pytest.raises(PartlyDoneError, match="c02: nova-compute was not started"):
        change(site, Verb.START)


def test_without_a_terminal_nothing_is_changed(site: Site) -> None:
    with site.desk() as desk, pytest.raises(DeclinedError):
        change_services(desk, Change(("c01",), Verb.STOP), Manner(output=Format.JSON))
    assert site.c01.state is ServiceState.RUNNING


def test_a_host_whose_run_is_alive_is_left_to_it(site: Site) -> None:
    with site.desk() as desk:
        record = desk.journal().begin(drain(disable()), Who("ann", "desk", "admin", "nodeops drain c01"))
        with pytest.raises(HostBusyError):
            change_services(desk, Change(("c01",), Verb.STOP), GO)
        record.leave(1, "")


def test_status_shows_all_and_ends_with_30_for_one_that_is_down(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.machine.host("c02").state = ServiceState.STOPPED
    with site.desk() as desk, pytest.raises(FindingsError, match="does not run on c02"):
        show_conditions(desk, HOSTS, Format.JSON, at_once=2)
    document = told(capsys)
    assert [host["nova_compute"]["state"] for host in document["hosts"]] == ["running", "stopped", "running"]


@pytest.mark.parametrize("output", list(Format))
def test_every_format_shows_every_host(
    site: Site, output: Format, capsys: pytest.CaptureFixture[str]
) -> None:
    with site.desk() as desk:
        show_conditions(desk, HOSTS, output, at_once=8)
        show_logs(desk, HOSTS, output, lines=1, seconds=60.0, at_once=8)
    said = capsys.readouterr().out
    assert all(name in said for name in HOSTS)


def test_ready_says_so(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.machine.compute("c01")
    with site.desk() as desk:
        show_readiness(desk, "c01", Format.JSON, accept=(), seconds=0.0)
    document = told(capsys)
    assert document["ready"] is True
    assert len(document["checks"]) == 12


@pytest.mark.parametrize("output", list(Format))
def test_a_host_that_is_not_ready_ends_with_30_and_the_way_out(
    site: Site, output: Format, capsys: pytest.CaptureFixture[str]
) -> None:
    site.machine.compute("c01")
    site.c01.connections = 0
    with site.desk() as desk, pytest.raises(FindingsError, match="message bus") as error:
        show_readiness(desk, "c01", output, accept=(), seconds=0.0)
    assert "transport_url" in error.value.hint
    assert "message" in capsys.readouterr().out


def test_what_the_last_window_found_is_compared(site: Site) -> None:
    assert site.maintain() == 0
    site.c01.libvirt = type(site.c01.libvirt)(answers=True, version="12.0", cpu_model="EPYC")
    with site.desk() as desk, pytest.raises(FindingsError, match=r"libvirt 11\.3\.0 as before"):
        show_readiness(desk, "c01", Format.JSON, accept=(), seconds=0.0)
    with site.desk() as desk:
        show_readiness(desk, "c01", Format.JSON, accept={"libvirt"}, seconds=0.0)


def test_a_host_that_nova_does_not_know_is_a_mistake(site: Site) -> None:
    with site.desk() as desk, pytest.raises(UnknownHostError):
        show_readiness(desk, "c99", Format.JSON, accept=(), seconds=0.0)


def test_only_what_may_be_let_pass_is_accepted() -> None:
    assert accepted(["clock,libvirt", "resources"]) == {"clock", "libvirt", "resources"}
    with pytest.raises(UsageError, match="--accept message-bus"):
        accepted(["message-bus"])
