"""A simulated host reboots, and what ran on it runs again; Nova alone is asked: nobody logs in there."""

from typing import Any

from tests.docs.commands_in import ROOT, commands_in
from tests.lab.bed import Bed, Result, kill

PAGE = ROOT / "runbooks" / "host-rebooted.md"
FORCED = ("--force", "--probe", "console", "-o", "json")
"""The readiness gate has not passed where SSH does not answer."""


def reboot(bed: Bed, host: str, names: list[str]) -> None:
    """Cut its power and give it back; nova-compute has stopped what it found off."""
    done = bed.lab("reboot", host)
    assert done.code == 0, done.err
    bed.until(lambda: bed.service(host)["state"] == "up")
    bed.until(lambda: {bed.servers()[name]["status"] for name in names} <= {"SHUTOFF", "ERROR"})
    bed.idle(names)


def stop(bed: Bed, name: str) -> None:
    bed.stop(name)


def recover(bed: Bed, *more: str) -> Result:
    return bed.run("recover", "c01", "--yes", *FORCED, *more)


def statuses(bed: Bed, names: list[str]) -> set[str]:
    found = bed.servers()
    return {found[name]["status"] for name in names}


def actions(bed: Bed, name: str) -> list[dict[str, Any]]:
    path = f"/servers/{bed.servers()[name]['id']}/os-instance-actions"
    return list(bed.cloud.compute.get(path, microversion="2.84").json()["instanceActions"])


def test_what_ran_runs_again_and_what_was_stopped_stays_off(bed: Bed) -> None:
    *ran, owned = names = bed.boot("c01", 4)
    stop(bed, owned)
    reboot(bed, "c01", names)
    assert actions(bed, ran[0])[0]["user_id"] is None, "nova-compute itself has stopped it"
    assert actions(bed, owned)[0]["user_id"] is not None

    dry = bed.run("recover", "c01", "--dry-run", *FORCED)
    assert dry.code == 0, dry.err
    assert dry.verdicts() == dict.fromkeys(ran, "DONE") | {owned: "LEFT"}
    assert statuses(bed, names) == {"SHUTOFF"}

    done = recover(bed)
    assert done.code == 0, done.err
    assert done.verdicts() == dry.verdicts()
    assert statuses(bed, ran) == {"ACTIVE"}
    assert statuses(bed, [owned]) == {"SHUTOFF"}
    again = recover(bed)
    assert again.code == 0, again.err
    assert "nothing to do" in again.err


def test_a_host_that_nobody_can_log_in_to_is_not_called_ready(bed: Bed) -> None:
    names = bed.boot("c01", 1)
    reboot(bed, "c01", names)
    refused = bed.run("recover", "c01", "--yes", "--no-wait", "-o", "json")
    assert refused.code == 5, refused.out
    assert "not-ready-host" in {finding["code"] for finding in refused.json["findings"]}
    assert statuses(bed, names) == {"SHUTOFF"}


def test_a_start_that_fails_is_followed_by_a_hard_reboot(bed: Bed) -> None:
    names = bed.boot("c01", 2)
    reboot(bed, "c01", names)
    bed.fault("host", "fail-before", "--operation", "power-on", "--server", names[0])
    done = recover(bed)
    assert done.code == 0, done.err
    assert statuses(bed, names) == {"ACTIVE"}
    assert [each["action"] for each in actions(bed, names[0])][:2] == ["reboot", "start"]


def test_one_that_does_not_come_up_is_told_with_its_reason(bed: Bed) -> None:
    names = bed.boot("c01", 3)
    reboot(bed, "c01", names)
    words = "No space left on device: simulated"
    for operation in ("power-on", "reboot"):
        bed.fault("host", "fail-before", "--operation", operation, "--server", names[0], "--message", words)
    done = recover(bed)
    assert done.code == 11, done.err
    left = done.server(names[0])
    assert left["verdict"] == "LEFT"
    assert "No space left" in left["reason"]
    assert "no-space" in {finding["code"] for finding in left["findings"]}
    assert statuses(bed, names[1:]) == {"ACTIVE"}
    bed.clear()
    assert recover(bed).code == 0
    assert statuses(bed, names) == {"ACTIVE"}


def test_the_most_important_first_and_one_at_a_time(bed: Bed) -> None:
    names = bed.boot("c01", 3)
    gold = names[-1]
    server = bed.servers()[gold]["id"]
    bed.cloud.compute.post(
        f"/servers/{server}/metadata", json={"metadata": {"tier": "gold"}}
    ).raise_for_status()
    reboot(bed, "c01", names)
    done = recover(bed, "--parallel", "1", "--priority", "metadata:tier=gold")
    assert done.code == 0, done.err
    started = {name: actions(bed, name)[0]["start_time"] for name in names}
    assert min(started, key=lambda name: started[name]) == gold


def test_killed_in_the_middle_the_same_command_goes_on(bed: Bed) -> None:
    names = bed.boot("c01", 4)
    reboot(bed, "c01", names)
    bed.fault("host", "slow", "--operation", "power-on", "--seconds", "3")
    process = bed.start("recover", "c01", "--yes", "--parallel", "2", *FORCED)
    bed.until(lambda: "ACTIVE" in statuses(bed, names))
    kill(process)
    done = recover(bed)
    assert done.code == 0, done.err
    assert done.verdicts() == dict.fromkeys(names, "DONE")
    for name in names:
        asked = [each["action"] for each in actions(bed, name) if each["user_id"]]
        assert asked.count("start") == 1, f"{name} was started twice"


def test_the_page_for_a_host_that_rebooted(bed: Bed) -> None:
    """Every command of it in its order, with the word that a simulated host's readiness needs."""
    names = bed.boot("c01", 2)
    reboot(bed, "c01", names)
    back_at = []
    for command in commands_in(PAGE):
        words = command.words[1:]
        asks = words[0] in {"recover", "undrain"} and "--dry-run" not in words
        more = (*(("--yes",) if asks else ()), *(("--force",) if words[0] == "recover" else ()))
        done = bed.run(*words, *more)
        assert done.code == 0, f"{command}\n{done.out}{done.err}"
        if statuses(bed, names) == {"ACTIVE"}:
            back_at.append(" ".join(words[:1]))
    assert back_at[0] == "recover"
