"""`nodeops failover --method database` and `nodeops undo` on a real OpenStack whose hosts really go away."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from nodeops.lab import hosts
from nodeops.lab.api_calls import calls_since, mark, writes
from tests.lab.bed import Bed, Result, kill
from tests.lab.dead_host import (
    WORD,
    allocation,
    attachments,
    come_back,
    guests,
    is_whole,
    lose,
    moves_again,
    ports,
    stop_compute,
)

TARGET = "c02"
DECLINED = 3
ALLOW = ("--allow", "use-evacuate,memory-lost", "--leave-refused")
STATES = {
    "plain-1": "ACTIVE",
    "plain-2": "ACTIVE",
    "paused": "ACTIVE",
    "shutoff": "SHUTOFF",
    "suspended": "ACTIVE",
    "shelved": "SHELVED",
    "error": "ACTIVE",
    "locked": "ACTIVE",
    "boot-volume": "ACTIVE",
    "data-volume": "ACTIVE",
    "affinity-1": "ACTIVE",
    "affinity-2": "ACTIVE",
}
"""What each kind of server ends as."""
REFUSED = {"rescued": "state-not-moved", "verify-resize": "state-not-moved", "too-large": "too-large"}


def connector(bed: Bed, host: str) -> str:
    """As `nova-manage volume_attachment get_connector` would print it there."""
    path = bed.state / f"connector-{host}.json"
    path.write_text(json.dumps({"host": host, "initiator": f"iqn.2026-01.lab:{host}", "multipath": False}))
    return str(path)


def words_for(bed: Bed, host: str, target: str, *more: str) -> tuple[str, ...]:
    said = ("--method", "database", "--to", target, "--fenced-by", WORD)
    return ("failover", host, *said, "--connector", connector(bed, target), *more, "-o", "json")


def rewrite(bed: Bed, host: str, target: str, *more: str) -> Result:
    """Look at the plan, and run that very plan; once more when a row has changed meanwhile."""
    words, word = words_for(bed, host, target, *more), ""
    for _ in range(3):
        plan = bed.run(*words, "--dry-run", **bed.reached)
        if plan.code or f"{host}@{plan.json['digest']}" == word:
            return plan
        word = f"{host}@{plan.json['digest']}"
        result = bed.run(*words, "--confirm", word, **bed.reached)
        if result.code != DECLINED:
            break
    return result


def rewrite_until(bed: Bed, host: str, target: str, line: str, *more: str) -> str:
    """Kill it with -9 as soon as it says so; returns the run's id."""
    words = words_for(bed, host, target, *more)
    digest = bed.run(*words, "--dry-run", **bed.reached).json["digest"]
    process = bed.start(*words, "--confirm", f"{host}@{digest}", **bed.reached)
    _kill_at(process, line)
    return str(json.loads(bed.run("runs", "-o", "json").out)["runs"][0]["run"])


def _kill_at(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stderr is not None
    for said in process.stderr:
        if re.search(line, said):
            kill(process)
            return
    raise AssertionError(f"it never said {line}")


def undo(bed: Bed, run: str, *more: str) -> Result:
    plan = bed.run("undo", run, *more, "--dry-run", "-o", "json", **bed.reached)
    if plan.code:
        return plan
    word = f"{plan.json['host']}@{plan.json['digest']}"
    return bed.run("undo", run, *more, "--confirm", word, "-o", "json", **bed.reached)


def is_on(bed: Bed, name: str, host: str) -> None:
    """All records of it are on that host and nowhere else."""
    server = bed.servers()[name]
    places = (server["OS-EXT-SRV-ATTR:host"], server["OS-EXT-SRV-ATTR:hypervisor_hostname"])
    assert places == (host, host), name
    assert {place for place, _ in ports(bed, server["id"]).values()} == {host}, name
    assert allocation(bed, server["id"]) == {host}, name
    volumes = server["os-extended-volumes:volumes_attached"]
    assert len(attachments(bed, server)) == len(volumes), name


def test_every_kind_of_server_is_rewritten_and_the_host_comes_back(bed: Bed) -> None:
    made = bed.lab("populate", "c01")
    assert made.code == 0, made.err
    lose(bed, "c01")
    result = rewrite(bed, "c01", TARGET, *ALLOW)
    assert result.code in {0, 11}, result.err
    told = {name.removeprefix("c01-"): each for name, each in result.verdicts().items()}
    moved = {kind for kind, verdict in told.items() if verdict == "MOVED"}
    assert moved >= set(STATES)
    for kind, name in REFUSED.items():
        classes = {each["class"] for each in result.server(f"c01-{kind}")["refusals"]}
        assert name in classes, (kind, classes)
    for kind, status in STATES.items():
        is_whole(bed, f"c01-{kind}", status, "c01")
        is_on(bed, f"c01-{kind}", TARGET)
    saved = {bed.servers()[f"c01-{kind}"]["id"] for kind in moved}
    moves_again(
        bed, [f"c01-{kind}" for kind in ("plain-1", "boot-volume", "data-volume", "suspended")], "c01"
    )
    early = bed.run("readmit", "c01", "--yes", **bed.reached)
    assert early.code == 5, early.out + early.err
    come_back(bed, "c01")
    assert guests(bed, "c01") & saved == set()
    assert bed.run("readmit", "c01", "--yes", **bed.reached).code == 0


def test_a_dry_run_shows_the_sql_and_sends_nothing(bed: Bed) -> None:
    bed.boot("c01", 1)
    lose(bed, "c01")
    begin = mark(bed.root)
    result = bed.run(*words_for(bed, "c01", TARGET, *ALLOW), "--dry-run", **bed.reached)
    assert result.code == 0, result.err
    statements = " ".join(result.json["statements"])
    for table in ("instances", "migrations", "ml2_port_bindings", "ml2_port_binding_levels"):
        assert table in statements
    assert {row["table"] for row in result.json["rows"]} >= {"instances", "ml2_port_bindings", "migrations"}
    assert writes(calls_since(bed.root, begin)) == []
    assert bed.run(*words_for(bed, "c01", TARGET, *ALLOW), "--yes", **bed.reached).code == 3
    assert writes(calls_since(bed.root, begin)) == []


@pytest.mark.parametrize("way", ["both", "api", "database"])
def test_ways_of_binding(bed: Bed, way: str) -> None:
    made = bed.boot("c01", 1)
    lose(bed, "c01")
    result = rewrite(bed, "c01", TARGET, *ALLOW, "--bindings", way)
    if way != "database":
        assert result.code == 0, result.err
        is_whole(bed, made[0], "ACTIVE", "c01")
    is_on(bed, made[0], TARGET)


@pytest.mark.parametrize(
    "line", ["rewrite-allocation", "rewrite-records", "rewrite-bindings", "bind-ports", "reboot-hard to"]
)
def test_killed_and_gone_on_with(bed: Bed, line: str) -> None:
    made = bed.boot("c01", 3)
    lose(bed, "c01")
    run = rewrite_until(bed, "c01", TARGET, line, *ALLOW)
    result = rewrite(bed, "c01", TARGET, *ALLOW)
    assert result.code == 0, result.err
    assert result.json["run"] == run
    for name in made:
        is_whole(bed, name, "ACTIVE", "c01")
        is_on(bed, name, TARGET)


@pytest.mark.parametrize("line", ["rewrite-records", "bind-ports", "reboot-hard to"])
def test_killed_and_taken_back(bed: Bed, line: str) -> None:
    """Whoever has not begun to run on the target is back, the others are there whole."""
    made = bed.boot("c01", 3)
    lose(bed, "c01")
    run = rewrite_until(bed, "c01", TARGET, line, *ALLOW)
    bed.until(lambda: all(each["OS-EXT-STS:task_state"] is None for each in bed.servers().values()))
    result = undo(bed, run, "--leave-refused")
    assert result.code in {0, 5, 11}, result.err
    for name, host in bed.hosts_of(made).items():
        is_on(bed, name, host)
        if host == TARGET:
            assert result.server(name)["class"] == "has-run"
    if line != "reboot-hard to":
        assert set(bed.hosts_of(made).values()) == {"c01"}
        hosts.start(bed.root, "c01")
        bed.until(lambda: bed.run("readmit", "c01", "--yes", **bed.reached).code == 0)
        ids = {bed.servers()[name]["id"] for name in made}
        assert guests(bed, "c01") >= ids  # not destroyed: the tombstones were taken back


def test_what_has_run_is_not_taken_back(bed: Bed) -> None:
    made = bed.boot("c01", 1)
    lose(bed, "c01")
    done = rewrite(bed, "c01", TARGET, *ALLOW)
    assert done.code == 0, done.err
    begin = mark(bed.root)
    result = undo(bed, done.json["run"])
    assert (result.code, result.server(made[0])["class"]) == (5, "has-run")
    assert writes(calls_since(bed.root, begin)) == []


def test_targets_that_cannot_take_them(bed: Bed) -> None:
    bed.boot("c01", 1)
    lose(bed, "c01")
    begin = mark(bed.root)
    assert rewrite(bed, "c01", "c01", *ALLOW).code == 2
    assert rewrite(bed, "c01", "c99", *ALLOW).code == 2
    bed.set_service("c03", status="disabled")
    refused = rewrite(bed, "c01", "c03", *ALLOW)
    assert (refused.code, refused.json["servers"][0]["class"]) == (5, "target-not-serving")
    bed.set_service("c03", status="enabled")
    words = ("failover", "c01", "--method", "database", "--to", "c03", "--fenced-by", WORD)
    without = bed.run(*words, **bed.reached)
    assert without.code == 8  # nova evacuates it
    calls = [call for call in writes(calls_since(bed.root, begin)) if "os-services" not in call.path]
    assert calls == []


def test_a_partition_is_refused(bed: Bed) -> None:
    """Only nova-compute is gone: the guests run on, and nothing but words says otherwise."""
    bed.boot("c01", 1)
    stop_compute(bed, "c01")
    begin = mark(bed.root)
    words = ("failover", "c01", "--method", "database", "--to", TARGET, *ALLOW, "--yes")
    assert bed.run(*words, **bed.reached).code in {3, 5}
    assert bed.run(*words, "--fenced-by", WORD, **bed.reached).code in {3, 5}
    assert writes(calls_since(bed.root, begin)) == []


def test_the_undo_file_is_secret_and_the_journal_holds_nothing_of_it(bed: Bed) -> None:
    made = bed.boot("c01", 1)
    lose(bed, "c01")
    result = rewrite(bed, "c01", TARGET, *ALLOW)
    assert result.code == 0, result.err
    words = next(each["words"] for each in result.json["findings"] if each["code"] == "undo-file")
    path = Path(words.rpartition(" ")[2])
    assert path.stat().st_mode & 0o777 == 0o600
    saved = json.loads(path.read_text())["servers"][bed.servers()[made[0]]["id"]]
    assert saved["tables"]["instances"][0]["host"] == "c01"
    key = saved["tables"]["instances"][0].get("reservation_id")
    assert key
    assert key.encode() not in (bed.state / "nodeops" / "journal.db").read_bytes()
