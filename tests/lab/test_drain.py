"""`nodeops drain` and its way back on a real OpenStack, through the installed command."""

from nodeops.lab.api_calls import writes
from tests.lab.bed import Bed

SERVERS = 6


def test_a_drained_host_is_empty_and_its_servers_are_whole_elsewhere(bed: Bed) -> None:
    names = bed.boot("c01", SERVERS)
    result = bed.run("drain", "c01", "--yes", "-o", "json")
    assert result.code == 0, result.err
    assert result.verdicts() == dict.fromkeys(names, "MOVED")
    assert bed.servers("c01") == {}
    for name in names:
        server = bed.servers()[name]
        assert (server["status"], server["OS-EXT-STS:task_state"]) == ("ACTIVE", None)
        assert server["OS-EXT-SRV-ATTR:host"] == result.server(name)["target"]
    service = bed.service("c01")
    assert service["status"] == "disabled"
    assert result.json["run"] in service["disabled_reason"]


def test_a_second_run_finds_nothing_to_do(bed: Bed) -> None:
    bed.boot("c01", 2)
    assert bed.run("drain", "c01", "--yes").code == 0
    with bed.listening() as calls:
        again = bed.run("drain", "c01", "--yes", "-o", "json")
    assert (again.code, again.json["servers"], writes(calls)) == (0, [], [])


def test_undrain_gives_back_exactly_what_the_drain_moved(bed: Bed) -> None:
    names = bed.boot("c01", 4)
    others = bed.boot("c02", 1)
    assert bed.run("drain", "c01", "--yes").code == 0
    stopped, deleted, *kept = names
    bed.stop(stopped)
    bed.cloud.compute.delete(f"/servers/{bed.servers()[deleted]['id']}")
    bed.until(lambda: deleted not in bed.servers())
    result = bed.run("undrain", "c01", "--give-back", "--yes", "-o", "json")
    assert result.code == 0, result.err
    assert set(bed.servers("c01")) == set(kept)
    assert bed.hosts_of(others) == {others[0]: "c02"}
    assert bed.servers()[stopped]["OS-EXT-SRV-ATTR:host"] != "c01"
    assert bed.service("c01")["status"] == "enabled"


def test_a_host_that_somebody_else_disabled_stays_so_with_their_reason(bed: Bed) -> None:
    bed.boot("c01", 1)
    bed.set_service("c01", status="disabled", disabled_reason="fan replaced on monday, ann")
    result = bed.run("drain", "c01", "--yes")
    assert result.code == 0, result.err
    assert "fan replaced on monday, ann" in result.out + result.err
    assert bed.service("c01")["disabled_reason"] == "fan replaced on monday, ann"
    back = bed.run("undrain", "c01", "--yes")
    assert back.code in range(3, 10)
    assert bed.service("c01")["status"] == "disabled"
    assert bed.run("undrain", "c01", "--yes", "--force").code == 0
    assert bed.service("c01")["status"] == "enabled"


def test_chosen_targets_are_kept_to(bed: Bed) -> None:
    names = bed.boot("c01", 3)
    assert bed.run("drain", "c01", "--yes", "--to", "c04").code == 0
    assert set(bed.hosts_of(names).values()) == {"c04"}


def test_novas_scheduler_may_choose(bed: Bed) -> None:
    names = bed.boot("c01", 2)
    result = bed.run("drain", "c01", "--yes", "--scheduler", "-o", "json")
    assert result.code == 0, result.err
    assert "c01" not in bed.hosts_of(names).values()
    assert {name: result.server(name)["target"] for name in names} == bed.hosts_of(names)


def test_servers_that_are_off_or_paused_are_moved_in_the_state_they_had(bed: Bed) -> None:
    stopped, paused = bed.boot("c01", 2)
    bed.act(stopped, {"os-stop": None})
    bed.act(paused, {"pause": None})
    bed.becomes("SHUTOFF", stopped)
    bed.becomes("PAUSED", paused)
    result = bed.run("drain", "c01", "--yes", "-o", "json")
    assert result.code == 0, result.err
    found = bed.servers()
    assert (found[stopped]["status"], found[paused]["status"]) == ("SHUTOFF", "PAUSED")
    assert bed.servers("c01") == {}


def test_a_plan_file_is_run_as_approved_and_refused_when_the_world_moved(bed: Bed) -> None:
    names = bed.boot("c01", 3)
    plan = str(bed.state / "plan.json")
    assert bed.run("plan", "drain", "c01", "-o", plan).code == 0
    bed.stop(names[0])
    with bed.listening() as calls:
        stale = bed.run("apply", plan, "--yes")
    assert (stale.code, writes(calls)) == (6, [])
    assert names[0] in stale.err
    assert bed.run("plan", "drain", "c01", "-o", plan).code == 0
    applied = bed.run("apply", plan, "--yes", "-o", "json")
    assert applied.code == 0, applied.err
    assert bed.servers("c01") == {}


def test_runs_are_listed_and_shown(bed: Bed) -> None:
    names = bed.boot("c01", 1)
    run = bed.run("drain", "c01", "--yes", "-o", "json").json["run"]
    assert run in bed.run("runs").out
    shown = bed.run("show", run)
    assert shown.code == 0
    assert names[0] in shown.out


def test_status_of_all_hosts_and_of_one(bed: Bed) -> None:
    names = bed.boot("c02", 1)
    assert "c02" in bed.run("status").out
    assert names[0] in bed.run("status", "c02").out


def test_doctor_finds_a_healthy_lab(bed: Bed) -> None:
    result = bed.run("doctor")
    assert result.code == 0, result.out + result.err
