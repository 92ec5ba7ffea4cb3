"""Whether a host is dead: one that lives, one that is cut off, one without power, and one that is fenced."""

from nodeops.lab import hosts
from nodeops.lab.hypervisor.guests import GuestStore
from nodeops.lab.hypervisor.places import HostPlace
from tests.lab.bed import Bed, Result
from tests.lab.dead_host import inventory, lose, stop_compute

HOST = "c02"
DEAD, DECLINED, ALIVE, CANNOT_TELL = 0, 3, 34, 35


def inquest(bed: Bed, *words: str, lab: bool = True) -> Result:
    """With the lab's own inventory, which has a fence command, or one without."""
    known = bed.reached if lab else inventory(bed)
    return bed.run("inquest", HOST, *words, "-o", "json", **known)


def cut_off(bed: Bed) -> None:
    """Neither nova-compute nor the agent is heard, and its guests run: a partition."""
    stop_compute(bed, HOST)
    hosts.silence_agent(bed.root, HOST)
    bed.until(lambda: not any(agent.is_alive for agent in bed.cloud.network.agents(host=HOST)))


def seen(result: Result, source: str) -> str:
    return str(next(sign["seen"] for sign in result.json["signs"] if sign["source"] == source))


def guests_run(bed: Bed) -> bool:
    return any(guest.state.has_memory for guest in GuestStore(HostPlace(bed.root, HOST).guests).all())


def test_a_host_that_lives(bed: Bed) -> None:
    result = inquest(bed)
    assert (result.code, result.json["life"]) == (ALIVE, "ALIVE")
    assert seen(result, "power") == "on"


def test_without_nova_compute_the_agent_still_shows_life(bed: Bed) -> None:
    stop_compute(bed, HOST)
    result = inquest(bed)
    assert result.code == ALIVE
    assert "network agent" in result.json["why"]


def test_a_host_without_power_is_dead_only_where_the_power_can_be_asked(bed: Bed) -> None:
    lose(bed, HOST)
    silent = inquest(bed, lab=False)
    assert (silent.code, silent.json["life"]) == (CANNOT_TELL, "CANNOT TELL")
    assert "--fenced-by" in silent.json["next"]
    proved = inquest(bed)
    assert (proved.code, proved.json["life"]) == (DEAD, "DEAD")
    assert seen(proved, "power") == "off, seen 2 times"


def test_a_host_that_is_cut_off_runs_its_servers_and_is_fenced(bed: Bed) -> None:
    bed.boot(HOST, 1)
    cut_off(bed)
    result = inquest(bed)
    assert result.code == CANNOT_TELL
    assert guests_run(bed)
    bed.set_service(HOST, forced_down=True)
    forced = inquest(bed)
    assert forced.code == CANNOT_TELL
    assert seen(forced, "nova-compute").startswith("forced down")
    bed.set_service(HOST, forced_down=False)

    assert inquest(bed, "--fence").code == DECLINED
    assert guests_run(bed)
    fenced = inquest(bed, "--fence", "--yes")
    assert (fenced.code, fenced.json["life"]) == (DEAD, "DEAD"), fenced.err
    assert not guests_run(bed)
    runs = bed.run("runs", "-o", "json").json["runs"]
    assert [(run["runbook"], run["host"]) for run in runs] == [("fence", HOST)]


def test_failover_believes_the_inquest(bed: Bed) -> None:
    name = bed.boot(HOST, 1)[0]
    lose(bed, HOST)
    result = bed.run("failover", HOST, "--yes", "-o", "json", **bed.reached)
    assert result.code == 0, result.err
    assert result.verdicts() == {name: "MOVED"}
