"""Verdicts from evidence: one server, every way it can be found."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from nodeops.model.facts import Attachment, Evidence, Flavor, Host, Migration, Port, PowerState, Server
from nodeops.outcome import ServerResult, StepResult, StepState
from nodeops.plan import Action, Finding, Level, Plan, Refusal, Risk, ServerPlan, Step, Verdict
from nodeops.runbooks.verify import judge

WEB = Server(
    id="web",
    name="web",
    host="c02",
    node="c02",
    status="ACTIVE",
    vm_state="active",
    task_state=None,
    power_state=PowerState.RUNNING,
    flavor=Flavor("small", 1, 1024, 10),
    volume_ids=("vol",),
)
PLANNED = ServerPlan(
    id="web",
    name="web",
    status="ACTIVE",
    action=Action.LIVE_MIGRATE,
    target="c02",
    risk=Risk.LIVE,
    state={"vm_state": "active", "power_state": 1, "locked": False},
)
MOVE = Step(
    id="live-migrate:web",
    action="live-migrate",
    subject_id="web",
    subject_name="web",
    why="it runs",
    risk=Risk.LIVE,
    source="c01",
    target="c02",
)
RESULT = StepResult("live-migrate:web", "web", "live-migrate", StepState.DONE, "", "req-1", "c02", 1, 5.0)
PORT = Port("port", "web", "c02", "ACTIVE", "ovs")
DRAINED = Host("c01", "service", enabled=False, disabled_reason="nodeops 1 by op@here: drain")
SHAPE = {"VCPU": 1, "MEMORY_MB": 1024}
VOLUME = Attachment("attachment", "vol", "web", "attached")


@dataclass(frozen=True)
class Seen:
    """What is found afterwards; by default, all as it shall be."""

    server: Server | None = WEB
    planned: ServerPlan = PLANNED
    results: tuple[StepResult, ...] = (RESULT,)
    steps: tuple[Step, ...] = (MOVE,)
    host: Host | None = DRAINED
    migrations: tuple[Migration, ...] = ()
    ports: tuple[Port, ...] = (PORT,)
    left_bindings: tuple[Port, ...] = ()
    here: tuple[str, ...] = ()
    there: tuple[str, ...] = ("web",)
    attachments: tuple[Attachment, ...] = (VOLUME,)
    others: tuple[Server, ...] = ()
    unseen: tuple[str, ...] = ()
    looked: bool = True
    runbook: str = "drain"
    plan_host: str = "c01"

    def judged(self) -> tuple[ServerResult, tuple[Finding, ...]]:
        plan = Plan(self.runbook, self.plan_host, "cloud", {}, self.steps, (self.planned,))
        on_host = [self.server] if self.server and self.server.host == self.plan_host else []
        evidence = Evidence(
            host=self.host,
            servers={"web": self.server} if self.looked else {},
            on_host=(*on_host, *self.others),
            migrations=self.migrations,
            ports=self.ports,
            ports_bound_to_host=self.left_bindings,
            allocations={"c01": dict.fromkeys(self.here, SHAPE), "c02": dict.fromkeys(self.there, SHAPE)},
            attachments=self.attachments,
            unseen=self.unseen,
        )
        servers, findings = judge(plan, self.results, evidence)
        assert len(servers) == 1
        return servers[0], findings

    @property
    def verdict(self) -> Verdict:
        return self.judged()[0].verdict

    @property
    def reason(self) -> str:
        return self.judged()[0].reason

    def codes(self) -> set[str]:
        result, findings = self.judged()
        return {finding.code for finding in (*result.findings, *findings)}


def seen(**changed: Any) -> Seen:
    return replace(Seen(), **changed)


def web(**changed: Any) -> Server:
    return replace(WEB, **changed)


def result(**changed: Any) -> tuple[StepResult, ...]:
    return (replace(RESULT, **changed),)


def migration(status: str, **changed: Any) -> tuple[Migration, ...]:
    base = Migration(7, "uuid-7", "web", "live-migration", status, "c01", "c02")
    return (replace(base, **changed),)


AT_HOME = {"server": web(host="c01"), "here": ("web",), "there": (), "ports": (replace(PORT, host="c01"),)}


def test_all_as_it_shall_be() -> None:
    found, findings = seen().judged()
    assert found.verdict is Verdict.MOVED
    assert (found.findings, findings) == ((), ())
    assert (found.target, found.request_id, found.attempts, found.seconds) == ("c02", "req-1", 1, 5.0)


@pytest.mark.parametrize("state", [StepState.UNKNOWN, StepState.FAILED, StepState.SENT])
def test_moved_is_what_is_seen_whatever_the_run_was_told(state: StepState) -> None:
    assert seen(results=result(state=state, words="timeout")).verdict is Verdict.MOVED


def test_a_completed_request_moves_nothing_that_is_still_there() -> None:
    assert seen(**AT_HOME).verdict is Verdict.LEFT


def test_not_begun_is_left() -> None:
    assert seen(**AT_HOME, results=()).verdict is Verdict.LEFT
    assert "not begun" in seen(**AT_HOME, results=()).reason


def test_rolled_back_needs_a_migration_that_was_undone() -> None:
    failed = result(state=StepState.FAILED, words="aborted after 60 s")
    undone = seen(**AT_HOME, results=failed, migrations=migration("failed"))
    assert undone.verdict is Verdict.ROLLED_BACK
    assert undone.reason == "aborted after 60 s"
    assert seen(**AT_HOME, results=failed, migrations=migration("error")).verdict is Verdict.LEFT
    assert seen(**AT_HOME, results=(), migrations=migration("failed")).verdict is Verdict.LEFT
    never_sent = result(state=StepState.FAILED, words="no gate opened", attempts=0)
    assert seen(**AT_HOME, results=never_sent, migrations=migration("failed")).verdict is Verdict.LEFT


def test_still_under_way_is_unknown() -> None:
    sent = result(state=StepState.SENT)
    assert seen(**AT_HOME, results=sent, migrations=migration("running")).verdict is Verdict.UNKNOWN
    busy = AT_HOME | {"server": web(host="c01", task_state="migrating")}
    assert seen(**busy, results=sent, migrations=migration("running")).verdict is Verdict.UNKNOWN


def test_split_when_nova_calls_it_completed_and_the_record_stays() -> None:
    split = AT_HOME | {"server": web(host="c01", task_state="migrating")}
    assert seen(**split, migrations=migration("completed")).verdict is Verdict.SPLIT
    settled = result(state=StepState.FAILED, verdict=Verdict.SPLIT, words="completed, but its record stays")
    assert seen(**AT_HOME, results=settled).verdict is Verdict.SPLIT


def test_split_when_all_ports_are_bound_elsewhere() -> None:
    assert seen(ports=(replace(PORT, host="c01"),)).verdict is Verdict.SPLIT
    assert seen(**AT_HOME | {"ports": (PORT,)}).verdict is Verdict.SPLIT


def test_one_stray_port_is_a_finding() -> None:
    assert seen(ports=(PORT, replace(PORT, id="two", host="c01"))).verdict is Verdict.MOVED
    assert "port-elsewhere" in seen(ports=(PORT, replace(PORT, id="two", host="c01"))).codes()


def test_waiting_for_confirmation_is_no_move() -> None:
    resized = seen(server=web(vm_state="resized", status="VERIFY_RESIZE"))
    assert resized.verdict is Verdict.SPLIT
    assert "old disk is still on c01" in resized.reason


def test_in_error_elsewhere_is_unknown() -> None:
    assert seen(server=web(vm_state="error", status="ERROR")).verdict is Verdict.UNKNOWN


def test_gone_is_left_without_a_host() -> None:
    found, _ = seen(server=None, there=()).judged()
    assert (found.verdict, found.target) == (Verdict.LEFT, None)
    assert "deleted" in found.reason


def test_not_looked_at_is_unknown() -> None:
    assert seen(looked=False).verdict is Verdict.UNKNOWN


def test_moved_by_somebody_else() -> None:
    found = seen(results=result(state=StepState.BLOCKED, attempts=0), server=web(host="c03"), ports=())
    assert found.verdict is Verdict.MOVED
    assert "somebody else" in found.reason


def test_refused_stays_with_its_reason() -> None:
    refusal = Refusal("locked", "it is locked", "--allow locked", Risk.REBOOT)
    refused = replace(PLANNED, action=Action.NONE, refusals=(refusal,), target=None)
    found = seen(**AT_HOME, planned=refused, results=(), steps=())
    assert (found.verdict, found.reason) == (Verdict.LEFT, "it is locked")


def test_refused_for_the_old_disk_it_still_has_here_is_left_wherever_it_is() -> None:
    refusal = Refusal("verify-resize", "its old disk is on c01", "--allow verify-resize", Risk.REBOOT)
    refused = replace(PLANNED, action=Action.NONE, refusals=(refusal,), target=None)
    away = web(host="c02", vm_state="resized", status="VERIFY_RESIZE")
    found = seen(server=away, planned=refused, results=(), steps=())
    assert (found.verdict, found.reason) == (Verdict.LEFT, "its old disk is on c01")


def test_offloaded_is_moved_and_a_shelved_one_that_did_not_come_back_is_split() -> None:
    gone = web(host=None, vm_state="shelved_offloaded", status="SHELVED_OFFLOADED", volume_ids=())
    offload = replace(PLANNED, action=Action.SHELVE_OFFLOAD, state={"vm_state": "shelved_offloaded"})
    assert seen(server=gone, planned=offload, there=(), ports=()).verdict is Verdict.MOVED
    assert seen(server=gone, there=(), ports=()).verdict is Verdict.SPLIT
    untouched = seen(server=gone, there=(), ports=(), results=())
    assert untouched.verdict is Verdict.LEFT


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("state-changed", {"server": web(vm_state="paused", status="PAUSED", power_state=3)}),
        ("power-changed", {"server": web(power_state=PowerState.SHUTDOWN)}),
        ("lock-changed", {"server": web(locked=True)}),
        ("port-down", {"ports": (replace(PORT, status="DOWN"),)}),
        ("port-unbound", {"ports": (replace(PORT, vif_type="binding_failed"),)}),
        ("binding-left", {"left_bindings": (PORT,)}),
        ("allocation-left", {"here": ("web",)}),
        ("allocation-missing", {"there": ()}),
        ("volume-detached", {"attachments": ()}),
        ("volume-attached-twice", {"attachments": (VOLUME, replace(VOLUME, id="two"))}),
    ],
)
def test_what_is_wrong_with_a_moved_server(code: str, changed: dict[str, Any]) -> None:
    found, _ = seen(**changed).judged()
    assert found.verdict is Verdict.MOVED
    assert [finding.code for finding in found.findings] == [code]
    assert all(finding.level is Level.ERROR for finding in found.findings)


def test_a_port_that_its_owner_has_switched_off_is_down_for_ever() -> None:
    assert seen(ports=(replace(PORT, status="DOWN", enabled=False),)).codes() == set()


def test_ports_of_a_server_that_is_off_may_be_down() -> None:
    off = web(vm_state="stopped", status="SHUTOFF", power_state=PowerState.SHUTDOWN)
    planned = replace(PLANNED, state={"vm_state": "stopped", "power_state": 4, "locked": False})
    assert seen(server=off, planned=planned, ports=(replace(PORT, status="DOWN"),)).codes() == set()


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("unseen", {"unseen": ("ports: forbidden",)}),
        ("host-enabled", {"host": replace(DRAINED, enabled=True)}),
        ("host-gone", {"host": None}),
        ("servers-left", {"others": (web(id="new", name="new", host="c01"),)}),
        ("migrations-running", {"migrations": migration("running", server_id="other")}),
        ("allocations-left", {"here": ("stranger",)}),
    ],
)
def test_what_is_wrong_with_the_host(code: str, changed: dict[str, Any]) -> None:
    assert code in seen(**changed).codes()


def test_a_server_that_came_meanwhile_is_worse_than_one_that_was_left() -> None:
    _, left = seen(**AT_HOME, results=()).judged()
    _, came = seen(others=(web(id="new", name="new", host="c01"),)).judged()
    assert [each.level for each in left if each.code == "servers-left"] == [Level.WARNING]
    assert [each.level for each in came if each.code == "servers-left"] == [Level.ERROR]


def test_a_guest_that_runs_on_in_error_is_told_with_its_mend() -> None:
    alive = web(host="c01", status="ERROR", vm_state="error", power_state=PowerState.RUNNING)
    for server, mend in ((alive, True), (replace(alive, power_state=PowerState.SHUTDOWN), False)):
        _, found = seen(server=server, results=()).judged()
        hints = [each.hint for each in found if each.code == "servers-left"]
        assert [("nodeops states c01 --fix" in hint) for hint in hints] == [mend]


def test_a_migration_that_holds_the_host_is_no_stray_allocation() -> None:
    assert "allocations-left" not in seen(here=("uuid-7",), migrations=migration("running")).codes()


class TestTheWayBack:
    """Given back: from c02 to c01."""

    BACK = replace(MOVE, source="c02", target="c01")

    def judged(self, server: Server, **changed: Any) -> Seen:
        ports = (replace(PORT, host=str(server.host)),)
        return seen(
            server=server,
            steps=(self.BACK,),
            runbook="undrain",
            host=replace(DRAINED, enabled=True),
            here=("web",) if server.host == "c01" else (),
            there=("web",) if server.host == "c02" else (),
            ports=ports,
            **changed,
        )

    def test_back(self) -> None:
        back = self.judged(web(host="c01"))
        assert back.verdict is Verdict.MOVED
        assert back.codes() == set()

    def test_not_back(self) -> None:
        assert self.judged(web(host="c02")).verdict is Verdict.LEFT

    def test_elsewhere(self) -> None:
        assert self.judged(web(host="c03")).verdict is Verdict.LEFT

    def test_the_host_is_to_serve_again(self) -> None:
        disabled = replace(self.judged(web(host="c01")), host=DRAINED)
        assert "host-disabled" in disabled.codes()

    def test_left_alone_where_it_is(self) -> None:
        alone = replace(PLANNED, action=Action.NONE, why="was moved to c03 since")
        found = self.judged(web(host="c03"), planned=alone, results=())
        assert (found.verdict, found.reason) == (Verdict.LEFT, "was moved to c03 since")
