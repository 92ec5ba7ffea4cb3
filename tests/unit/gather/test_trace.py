"""Whose logs are asked for what."""

from dataclasses import dataclass, field, replace
from threading import Event

import pytest

from nodeops.gather.trace import AFTER, BEFORE, Asking, Named, gather_trace
from nodeops.model.tracing import Found, Wanted
from tests.fake_traces import AT, CHILD, OWN, SERVER, FakeLogs, FakeRequests, log_line, request

NAMED = Named("web01", ((OWN, SERVER),))


def lines(*hosts: str) -> FakeLogs:
    return FakeLogs({host: (log_line(1, f"of {host}", host=host),) for host in hosts})


def test_hosts_with_a_part_are_asked_and_those_that_are_no_compute_hosts() -> None:
    logs = lines("c01", "c02", "c03", "ctl")
    facts = gather_trace(NAMED, Asking(logs, FakeRequests((request(),))))
    assert {host for host, _ in logs.asked} == {"c01", "c02", "ctl"}
    assert {found.host for found in facts.found} == {"c01", "c02", "ctl"}


def test_only_the_time_of_the_request_is_read() -> None:
    logs = lines("c01")
    gather_trace(NAMED, Asking(logs, FakeRequests((request(),))))
    ((_, wanted),) = logs.asked
    assert (wanted.since, wanted.until) == (AT - BEFORE, AT + 5 + AFTER)
    assert wanted.subjects == (SERVER,)


def test_a_request_that_runs_is_read_up_to_now() -> None:
    running = replace(request(), events=(replace(request().events[0], ended=None, result=""),))
    logs = lines("c01")
    gather_trace(NAMED, Asking(logs, FakeRequests((running,))))
    assert logs.asked[0][1].until is None


def test_since_shortens_and_never_lengthens() -> None:
    logs = lines("c01")
    gather_trace(NAMED, Asking(logs, FakeRequests((request(),)), since=AT - 5))
    gather_trace(NAMED, Asking(logs, FakeRequests((request(),)), since=AT - 5000))
    assert [wanted.since for _, wanted in logs.asked] == [AT - 5, AT - BEFORE]


def test_of_a_bare_request_all_hosts_are_asked_and_the_server_is_found_in_the_lines() -> None:
    logs = lines("c01", "c02", "c03")
    facts = gather_trace(Named(OWN, ((OWN, ""),)), Asking(logs, FakeRequests((request(),))))
    assert {host for host, _ in logs.asked} == {"c01", "c02", "c03"}
    assert logs.asked[0][1].since is None
    assert [each.action for each in facts.requests] == ["live-migration"]
    assert facts.names == {SERVER: "web01"}


def test_requests_that_ours_caused_are_followed_near_to_where_they_are_named() -> None:
    own = log_line(1, "bind it", host="ctl", request=CHILD, cause=OWN)
    agent = replace(log_line(2, "plugged", host="c02", request=CHILD), server_id="")
    logs = FakeLogs({"ctl": (own,), "c02": (agent,)})
    facts = gather_trace(NAMED, Asking(logs, FakeRequests((request(),))))
    assert facts.followed == (CHILD,)
    assert [line.words for found in facts.found for line in found.lines] == ["plugged", "bind it"]
    assert logs.asked[-1][1].ids == (CHILD,)


def test_a_request_of_another_service_leads_to_the_one_that_caused_it() -> None:
    logs = FakeLogs(
        {
            "ctl": (log_line(1, "bound", host="ctl", request=CHILD, cause=OWN),),
            "c01": (log_line(2, "moving"),),
        }
    )
    facts = gather_trace(Named(CHILD, ((CHILD, ""),)), Asking(logs, None))
    assert facts.followed == (OWN,)
    assert "moving" in [line.words for found in facts.found for line in found.lines]


def test_without_a_cloud_the_logs_are_read_all_the_same() -> None:
    logs = lines("c01", "c02")
    facts = gather_trace(NAMED, Asking(logs, FakeRequests((request(),), down="connection refused")))
    assert {found.host for found in facts.found} == {"c01", "c02"}
    assert facts.unseen == ("connection refused",)


def test_without_an_inventory_the_api_is_asked_all_the_same() -> None:
    facts = gather_trace(NAMED, Asking(None, FakeRequests((request(),))))
    assert facts.found == ()
    assert [each.id for each in facts.requests] == [OWN]
    assert not facts.logs_asked


def test_hosts_that_were_named_are_the_only_ones_asked() -> None:
    logs = lines("c01", "c02", "ctl")
    gather_trace(NAMED, Asking(logs, FakeRequests((request(),)), only=("ctl",)))
    assert [host for host, _ in logs.asked] == ["ctl"]


@dataclass
class SlowLogs(FakeLogs):
    """Of two hosts: one searches on and on, and at the other somebody presses Ctrl-C."""

    ended: Event = field(default_factory=Event)

    def hosts(self) -> tuple[str, ...]:
        return ("c01", "c02")

    def search(self, host: str, wanted: Wanted) -> Found:  # noqa: ARG002 - the protocol's
        if host == "c01":
            raise KeyboardInterrupt
        self.ended.wait(3.0)
        self.ended.set()
        return Found(host)


def test_an_interruption_does_not_wait_for_hosts_that_still_search() -> None:
    logs = SlowLogs()
    with pytest.raises(KeyboardInterrupt):
        gather_trace(Named(OWN, ((OWN, ""),)), Asking(logs, None))
    assert not logs.ended.is_set()
    logs.ended.set()
