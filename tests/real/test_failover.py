"""A real host dies and comes back, and old copies of its guests try to run a second time."""

from tests.lab.bed import Bed, Result
from tests.real.guests import await_guest, boots, on_host, second_copy, without_compute

LOCK = "write lock"


def fail_over(bed: Bed, *more: str) -> Result:
    return confirmed(bed, "failover", "c01", *more)


def confirmed(bed: Bed, *words: str) -> Result:
    """Do what a dry run showed, in the words that stand for typing the host's name."""
    plan = bed.run(*words, "--dry-run", "-o", "json", **bed.reached)
    if plan.code:
        return plan
    return bed.run(*words, "-o", "json", "--confirm", f"c01@{plan.json['digest']}", **bed.reached)


def test_saved_once_and_never_run_twice(bed: Bed) -> None:
    names = bed.boot("c01", 2)
    for name in names:
        await_guest(bed, name)
    ids = {name: bed.servers()[name]["id"] for name in names}
    since = on_host(bed, "c02", "date +%s").strip()

    # nova-compute is dead and its guests live: nothing may be started a second time
    assert bed.lab("stop-compute", "c01").code == 0
    bed.until(lambda: bed.service("c01")["state"] == "down")
    refused = fail_over(bed)
    assert refused.code in {3, 5, 8}, (refused.code, refused.err)
    assert len(on_host(bed, "c01", "virsh list --name").split()) == 2
    assert on_host(bed, "c02", "virsh list --all --name").strip() == ""

    # fenced by the lab's inventory, though it answers, and saved
    assert bed.run("inquest", "c01", "--fence", "--yes", **bed.reached).code == 3
    fenced = confirmed(bed, "inquest", "c01", "--fence")
    assert (fenced.code, fenced.json["life"]) == (0, "DEAD"), fenced.err
    saved = fail_over(bed)
    assert saved.code == 0, saved.err
    assert set(bed.hosts_of(names).values()) == {"c02"}
    for name in names:
        bed.until(lambda name=name: boots(bed, name) == 2)  # type: ignore[misc]

    # the host is back without its nova-compute, and an old copy is started; no lock of QEMU is in its way
    with without_compute(bed, "c01"):
        second = ids[names[0]]
        second_copy(bed, second, "c02", "c01")
        state = bed.run("states", "c01", "-o", "json", **bed.reached)
        assert {each["id"]: each["class"] for each in state.json["findings"]}[second] == "two-guests"
        not_yet = bed.run("readmit", "c01", "--yes", "-o", "json", **bed.reached)
        assert not_yet.code == 5, not_yet.err
        assert {"guests-left"} <= {each["code"] for each in not_yet.json["findings"]}
        assert bed.service("c01")["forced_down"]
        on_host(bed, "c01", f"virsh destroy {second}")

    # nova-compute removes the old copies as it starts; then the host serves again
    bed.until(lambda: on_host(bed, "c01", "virsh list --all --name").strip() == "")
    bed.until(lambda: bed.run("readmit", "c01", "--dry-run", **bed.reached).code == 0)
    readmitted = bed.run("readmit", "c01", "--yes", "-o", "json", **bed.reached)
    assert readmitted.code == 0, readmitted.err
    bed.until(lambda: bed.service("c01")["state"] == "up" and bed.service("c01")["status"] == "enabled")
    assert len(on_host(bed, "c02", "virsh list --name").split()) == 2
    logs = f"journalctl --since @{since} --no-pager; cat /var/log/nova/nova-compute.log"
    for host in ("c01", "c02"):
        assert LOCK not in on_host(bed, host, f"({logs}) | grep -i '{LOCK}'"), "it was the lock that saved us"
