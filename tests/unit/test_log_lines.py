"""Lines of logs made values: whatever writes them, whatever their clock."""

import datetime as dt
import json

import pytest

from nodeops.model.log_lines import Clock, parse, service_of

OWN = "req-2f922cba-7d09-4327-8067-e4b8fd5a99ba"
CHILD = "req-9c1216fa-cd20-4ee5-b537-79993b2c521d"
SERVER = "79ca94e9-1d5f-4b7e-8d34-8a5b6b0fd2c1"
AT = dt.datetime(2026, 11, 21, 10, 0, 1, 500_000, tzinfo=dt.UTC).timestamp()
LINE = (
    f"2026-11-21 10:00:01.500 7 ERROR nova.virt.libvirt.driver [None {OWN} user project - - default default] "
    f"[instance: {SERVER}] Live Migration failure: no"
)
TRACEBACK = [
    f"2026-11-21 10:00:01.501 7 ERROR nova.virt.libvirt.driver [instance: {SERVER}] Traceback (most recent):",
    f"2026-11-21 10:00:01.501 7 ERROR nova.virt.libvirt.driver [instance: {SERVER}]   File x, line 1, in y",
    f"2026-11-21 10:00:01.501 7 ERROR nova.virt.libvirt.driver [instance: {SERVER}] libvirt.libvirtError: no",
]


def test_a_line_has_its_parts() -> None:
    (line,) = parse([LINE], "c01", "nova-compute", Clock())
    assert line.at == AT
    assert (line.host, line.service, line.level) == ("c01", "nova-compute", "ERROR")
    assert line.module == "nova.virt.libvirt.driver"
    assert (line.request_id, line.global_id, line.server_id) == (OWN, "", SERVER)
    assert line.words == "Live Migration failure: no"


def test_a_request_that_another_caused_has_both_ids() -> None:
    text = (
        f"2026-11-21 10:00:01.500 7 INFO neutron.api [{OWN} {CHILD} user project - - default default] bound"
    )
    (line,) = parse([text], "ctl", "neutron-server", Clock())
    assert (line.request_id, line.global_id) == (CHILD, OWN)


def test_a_traceback_belongs_to_the_line_before_it() -> None:
    (line,) = parse([LINE, *TRACEBACK], "c01", "nova-compute", Clock())
    assert line.more == ("Traceback (most recent):", "  File x, line 1, in y", "libvirt.libvirtError: no")


def test_a_traceback_after_a_warning_belongs_to_it_too() -> None:
    (line,) = parse([LINE.replace("ERROR", "WARNING"), *TRACEBACK], "c01", "nova-compute", Clock())
    assert (line.level, len(line.more)) == ("WARNING", 3)


def test_an_error_of_its_own_is_no_part_of_a_traceback() -> None:
    other = "2026-11-21 10:00:01.502 7 ERROR nova.virt.libvirt.driver [-] something else"
    lines = parse([LINE, *TRACEBACK, other], "c01", "nova-compute", Clock())
    assert [line.words for line in lines] == ["Live Migration failure: no", "something else"]


def test_text_without_a_time_goes_on_with_the_line_before_it() -> None:
    (line,) = parse([LINE, "", "0", "Refer to http://libvirt.org"], "c01", "nova-compute", Clock())
    assert line.more == ("", "0", "Refer to http://libvirt.org")


def test_text_without_a_time_at_the_beginning_belongs_to_nothing() -> None:
    assert parse(["Refer to nothing"], "c01", "nova-compute", Clock()) == ()


@pytest.mark.parametrize(("offset", "skew"), [(0.0, 0.0), (7200.0, 0.0), (0.0, 42.0), (-12_600.0, -3.5)])
def test_zone_and_skew_of_a_host_are_taken_out(offset: float, skew: float) -> None:
    clock = Clock(offset, skew)
    (line,) = parse([LINE], "c01", "nova-compute", clock)
    assert line.at == pytest.approx(AT - offset - skew)
    assert clock.local(line.at) == "2026-11-21 10:00:01"


def test_what_comes_out_of_a_journal_has_the_service_s_own_time() -> None:
    text = f"1795255201.900000 c01 nova-compute[7]: {LINE}"
    (line,) = parse([text], "c01", "nova-compute", Clock())
    assert (line.at, line.module) == (AT, "nova.virt.libvirt.driver")


def test_a_line_of_a_journal_without_a_time_of_its_own_has_the_journal_s() -> None:
    (line,) = parse(
        ["1795255201.900000 c01 libvirtd[7]: Cannot recv data"], "c01", "libvirtd", Clock(7200, 1)
    )
    assert line.at == pytest.approx(1795255200.9)
    assert (line.service, line.pid, line.words) == ("libvirtd", "7", "Cannot recv data")


def test_lines_in_json_are_read() -> None:
    text = json.dumps(
        {
            "message": "failed",
            "asctime": "2026-11-21 10:00:01.500",
            "name": "nova.compute.manager",
            "levelname": "ERROR",
            "process": 7,
            "traceback": ["Traceback\n  x", "ValueError: no"],
            "context": {"request_id": CHILD, "global_request_id": OWN},
            "extra": {"instance": f"[instance: {SERVER}] "},
        }
    )
    (line,) = parse([text], "c01", "nova-compute", Clock())
    assert (line.at, line.level, line.words) == (AT, "ERROR", "failed")
    assert (line.request_id, line.global_id, line.server_id) == (CHILD, OWN, SERVER)
    assert line.more == ("Traceback", "  x", "ValueError: no")


def test_broken_json_is_no_line() -> None:
    assert parse(['{"message": "cut'], "c01", "nova-compute", Clock()) == ()


def test_lines_of_qemu_have_a_zone_of_their_own() -> None:
    (line,) = parse(
        ["2026-11-21 10:00:01.500+0000: shutting down, reason=crashed"], "c01", "qemu", Clock(7200)
    )
    assert (line.at, line.words) == (AT, "shutting down, reason=crashed")


@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("/var/log/nova/nova-compute.log", "nova-compute"),
        ("/var/log/nova/nova-compute.log.3.gz", "nova-compute"),
        ("/var/log/nova/nova-compute.log-20261121.gz", "nova-compute"),
        ("/var/log/kolla/neutron/neutron-openvswitch-agent.log", "neutron-openvswitch-agent"),
        ("/var/log/neutron/macvtap_agent.py.log", "macvtap-agent"),
        ("journal:nova-compute.service", "nova-compute"),
        ("docker:nova_compute", "nova-compute"),
    ],
)
def test_a_log_is_named_by_its_service(name: str, service: str) -> None:
    assert service_of(name) == service
