"""MOVED only when everything is seen as it shall be."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from nodeops.model.facts import Attachment, Host, Port, Server
from nodeops.model.records import HostRecords, TombstoneRecord
from nodeops.model.rewriting import RewriteEvidence
from nodeops.outcome import StepResult, StepState
from nodeops.plan import Plan, Verdict
from nodeops.runbooks.rewrite import plan_rewrite
from nodeops.runbooks.rewrite_verify import judge_rewrite
from tests.unit.runbooks.test_rewrite import (
    SHAPE,
    binding,
    facts,
    node,
    options,
    record,
    server,
    volume,
    with_volumes,
)

Change = Callable[[RewriteEvidence], RewriteEvidence]
DONE = StepResult("rewrite-records:s", "s", "rewrite-records", StepState.DONE, attempts=1)


@pytest.fixture
def plan() -> Plan:
    return plan_rewrite(with_volumes(volume("s"))(facts("s")), options())


def whole() -> RewriteEvidence:
    row = record("s", host="c02", node="c02.example", compute_id=2, bindings=(binding("s", host="c02"),))
    row = replace(row, volumes=(volume("s", attachment_id="a9"),))
    tombstone = TombstoneRecord("t", "s", "c01", "c02", "done")
    source, target = node("c01", 1), node("c02", 2)
    schema = facts("s").records.schema
    return RewriteEvidence(
        servers={"s": server("s", host="c02", node="c02.example")},
        records=HostRecords(schema, source, target, (row,), (tombstone,)),
        source=Host("c01", "s1", up=False, enabled=False, forced_down=True),
        held={"s": {"rp-c02": SHAPE}},
        ports=(Port("port-s", "s", "c02", "ACTIVE", "ovs"),),
        attachments=(Attachment("a9", "v1", "s", "attached"),),
        source_provider="rp-c01",
        target_provider="rp-c02",
    )


def verdict(plan: Plan, evidence: RewriteEvidence) -> tuple[Verdict, str]:
    (found,), _ = judge_rewrite(plan, [DONE], evidence)
    return found.verdict, found.reason


def test_all_as_it_shall_be(plan: Plan) -> None:
    assert verdict(plan, whole()) == (Verdict.MOVED, "")


def of_server(**changes: Any) -> Change:
    def change(known: RewriteEvidence) -> RewriteEvidence:
        seen: Server | None = known.servers["s"]
        assert seen is not None
        return replace(known, servers={"s": replace(seen, **changes)})

    return change


def of_row(**changes: Any) -> Change:
    def change(known: RewriteEvidence) -> RewriteEvidence:
        assert known.records is not None
        rows = tuple(replace(each, **changes) for each in known.records.servers)
        return replace(known, records=replace(known.records, servers=rows))

    return change


def of_tombstones(*tombstones: TombstoneRecord) -> Change:
    def change(known: RewriteEvidence) -> RewriteEvidence:
        assert known.records is not None
        return replace(known, records=replace(known.records, tombstones=tombstones))

    return change


def seen(**changes: Any) -> Change:
    return lambda known: replace(known, **changes)


WRONG: Mapping[str, tuple[Change, Verdict, str]] = {
    "node": (of_row(node="c01.example"), Verdict.SPLIT, "node c01.example"),
    "compute id": (of_row(compute_id=1), Verdict.SPLIT, "compute_id 1"),
    "no tombstone": (of_tombstones(), Verdict.SPLIT, "no tombstone"),
    "allocation left": (seen(held={"s": {"rp-c01": SHAPE, "rp-c02": SHAPE}}), Verdict.SPLIT, "still counts"),
    "no allocation": (seen(held={}), Verdict.SPLIT, "does not count it on c02"),
    "placement unseen": (seen(held=None), Verdict.SPLIT, "could not be seen"),
    "rows unseen": (seen(records=None), Verdict.SPLIT, "could not be looked at"),
    "port elsewhere": (seen(ports=(Port("p", "s", "c01", "ACTIVE", "ovs"),)), Verdict.SPLIT, "bound on c01"),
    "port failed": (
        seen(ports=(Port("p", "s", "c02", "DOWN", "binding_failed"),)),
        Verdict.SPLIT,
        "binding_failed",
    ),
    "port down": (seen(ports=(Port("p", "s", "c02", "DOWN", "ovs"),)), Verdict.SPLIT, "is DOWN"),
    "two attachments": (
        seen(attachments=(Attachment("a9", "v1", "s", "attached"), Attachment("a1", "v1", "s", "attached"))),
        Verdict.SPLIT,
        "2 attachments",
    ),
    "another attachment": (
        seen(attachments=(Attachment("a1", "v1", "s", "attached"),)),
        Verdict.SPLIT,
        "another attachment",
    ),
    "attachments unseen": (seen(attachments=None), Verdict.SPLIT, "could not be seen"),
    "does not run": (of_server(power_state=4), Verdict.SPLIT, "does not run"),
    "in a task": (of_server(task_state="rebooting_hard"), Verdict.UNKNOWN, "rebooting_hard"),
    "in error": (of_server(vm_state="error"), Verdict.UNKNOWN, "is error"),
    "moved by another": (of_server(host="c07"), Verdict.LEFT, "somebody else"),
    "deleted": (seen(servers={"s": None}), Verdict.LEFT, "does not exist"),
    "not looked at": (seen(servers={}), Verdict.UNKNOWN, "could not be looked at"),
}


@pytest.mark.parametrize(("change", "wanted", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong(plan: Plan, change: Change, wanted: Verdict, words: str) -> None:
    found, reason = verdict(plan, change(whole()))
    assert found is wanted
    assert words in reason


def test_rows_tell_of_ports_when_neutron_is_silent(plan: Plan) -> None:
    silent = seen(ports=None)
    assert verdict(plan, silent(whole()))[0] is Verdict.MOVED
    elsewhere = of_row(bindings=(binding("s"),))(silent(whole()))
    assert "bound on c01" in verdict(plan, elsewhere)[1]


def test_half_of_a_rewrite_that_did_not_come_to_the_row(plan: Plan) -> None:
    home = of_server(host="c01", node="c01.example")
    row = of_row(host="c01", node="c01.example", compute_id=1)
    known = of_tombstones()(row(home(whole())))
    found, reason = verdict(plan, known)
    assert (found, "on c01" in reason) == (Verdict.SPLIT, True)
    port = Port("port-s", "s", "c01", "ACTIVE", "ovs")
    back = replace(known, held={"s": {"rp-c01": SHAPE}}, ports=(port,))
    assert verdict(plan, back)[0] is Verdict.LEFT


def test_what_is_told_of_the_host(plan: Plan) -> None:
    saved = StepResult("save-images:c01", "c01", "save-images", StepState.DONE, "rows are in FILE")
    _, findings = judge_rewrite(plan, [DONE, saved], whole())
    assert {each.code for each in findings} == {"undo-file", "tombstones"}
    early = seen(source=Host("c01", "s1", enabled=True, forced_down=True))
    _, findings = judge_rewrite(plan, [DONE], early(whole()))
    assert "host-admitted" in {each.code for each in findings}
    coming = seen(ports=(Port("p", "s", "c02", "DOWN", "ovs"),), unseen=("cinder: silent",))
    _, findings = judge_rewrite(plan, [DONE], coming(whole()))
    assert {"ports-coming-up", "unseen"} <= {each.code for each in findings}
