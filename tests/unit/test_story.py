"""What came of a request, and the line that explains it."""

from dataclasses import replace

from nodeops.model.story import Story, tell
from nodeops.model.tracing import Found, LogFile, LogLine, RequestRecord, TraceFacts, Wanted
from tests.fake_traces import AT, OWN, SERVER, event, log_line, request

REFUSED = (
    "Live Migration failure: unable to connect to server at 'c02:16509': Connection refused: "
    "libvirt.libvirtError: unable to connect to server at 'c02:16509': Connection refused"
)


def story(*lines: LogLine, requests: tuple[RequestRecord, ...] = (), found: tuple[Found, ...] = ()) -> Story:
    hosts = dict.fromkeys(line.host for line in lines)
    read = tuple(Found(host, tuple(line for line in lines if line.host == host)) for host in hosts)
    return tell(TraceFacts("web01", Wanted((OWN,), (SERVER,)), requests, (*read, *found)))


def test_lines_of_all_hosts_stand_in_the_order_of_time() -> None:
    told = story(log_line(2, "third"), log_line(0, "first"), log_line(1, "second", host="c02"))
    assert [(each.host, each.words) for each in told.entries] == [
        ("c01", "first"),
        ("c02", "second"),
        ("c01", "third"),
    ]


def test_what_the_api_knows_stands_among_them() -> None:
    told = story(log_line(3, "moving"), requests=(request(),))
    assert [each.words for each in told.entries] == [
        "live-migration asked for",
        "compute_live_migration begins",
        "moving",
        "compute_live_migration: Success",
    ]


def test_what_is_said_again_and_again_is_one_entry() -> None:
    told = story(log_line(0, "again"), log_line(1, "again"), log_line(2, "again"), log_line(3, "else"))
    assert [(each.words, each.times) for each in told.entries] == [("again", 3), ("else", 1)]


def test_a_known_cause_is_the_diagnosis_though_symptoms_come_first() -> None:
    told = story(
        log_line(0, "Migration operation has aborted", level="ERROR"),
        log_line(1, REFUSED, level="ERROR"),
        requests=(request(status="error"),),
    )
    assert told.failed
    assert told.diagnosis is not None
    assert (told.diagnosis.name, told.diagnosis.host) == ("libvirt-unreachable", "c01")
    assert told.diagnosis.next_command == "nodeops host c02 status"


def test_a_move_that_rolled_back_has_failed_though_every_event_went_well() -> None:
    assert story(requests=(request(status="failed"),)).failed


def test_complaints_of_a_request_that_went_well_are_no_failure() -> None:
    told = story(log_line(0, REFUSED, level="ERROR"), requests=(request(),))
    assert told.failed is False
    assert told.diagnosis is None


def test_a_move_whose_migration_is_not_kept_is_judged_by_the_logs() -> None:
    told = story(log_line(0, REFUSED, level="ERROR"), requests=(replace(request(), migrations=()),))
    assert told.failed


def test_a_build_that_no_host_could_do_has_failed_though_nova_s_action_says_success() -> None:
    build = replace(request(), action="create", migrations=())
    binding = "nova.exception.PortBindingFailed: Binding failed for port 7d3c, please check neutron logs"
    lines = (
        log_line(0, f"Instance failed network setup: {binding}", level="ERROR"),
        log_line(1, "Setting instance to ERROR state.: MaxRetriesExceeded", level="WARNING"),
    )
    assert story(lines[0], requests=(build,)).failed is False, "it may have been built on another host"
    for told in (
        story(*lines, requests=(build,)),
        story(lines[0], requests=(replace(build, fault=binding),)),
    ):
        assert told.failed
        assert told.diagnosis is not None
        assert told.diagnosis.name == "port-binding-failed"


def test_a_request_that_still_runs_is_not_known_to_have_failed() -> None:
    running = replace(event("compute_live_migration", "c01"), ended=None, result="")
    assert story(requests=(request(running, status="running"),)).failed is None


def test_the_exception_at_the_end_of_a_traceback_is_what_explains() -> None:
    line = replace(
        log_line(0, "Exception during message handling", level="ERROR"),
        more=(
            "Traceback (most recent call last):",
            '  File "x"',
            "nova.exception.NoValidHost: No valid host was found.",
        ),
    )
    told = story(line)
    assert told.diagnosis is not None
    assert told.diagnosis.name == "no-valid-host"
    assert told.diagnosis.line == "nova.exception.NoValidHost: No valid host was found."


def test_a_filter_explains_more_than_no_valid_host() -> None:
    told = story(
        replace(log_line(0, "Filter ComputeFilter returned 0 hosts"), service="nova-scheduler", host="ctl"),
        log_line(1, "No valid host was found.", level="ERROR"),
        requests=(request(event("conductor", "ctl", "Error", "No valid host was found")),),
    )
    assert told.diagnosis is not None
    assert told.diagnosis.sentence == (
        "ctl nova-scheduler: no host is left after the scheduler's ComputeFilter: every host that was left "
        "is disabled or down"
    )


def test_without_logs_the_api_s_words_are_explained() -> None:
    told = story(
        requests=(
            request(event("conductor", "c01", "Error", "Compute service of c02 is unavailable at this time")),
        )
    )
    assert told.diagnosis is not None
    assert told.diagnosis.name == "compute-service-down"
    assert told.diagnosis.next_command == "nodeops host c02 status"


def test_a_fault_of_the_server_is_explained() -> None:
    failed = replace(request(status="error"), fault="Virtual Interface creation failed")
    told = story(requests=(failed,))
    assert told.diagnosis is not None
    assert (told.diagnosis.name, told.diagnosis.service) == ("vif-creation-failed", "nova")


def test_an_error_that_is_not_known_is_shown_as_that() -> None:
    told = story(log_line(0, "The frob is bent", level="ERROR"))
    assert told.diagnosis is not None
    assert (told.diagnosis.name, told.diagnosis.line) == ("", "The frob is bent")
    assert told.diagnosis.sentence == "c01 nova-compute: The frob is bent"


def test_the_next_command_names_the_server_where_it_is_about_one() -> None:
    told = story(log_line(0, "Live migration not completed after 30 sec", level="WARNING"))
    assert told.diagnosis is not None
    assert told.diagnosis.next_command == f"nodeops watch {SERVER}"


def test_logs_that_begin_after_the_request_are_gone() -> None:
    kept = Found("c01", files=(LogFile("/var/log/nova/nova-compute.log", 10, AT + 3600),))
    told = story(requests=(request(status="error"),), found=(kept,))
    assert told.gaps == ("c01: the log of nova-compute begins after the request; what was before is gone",)


def test_an_empty_log_of_a_host_with_a_part_is_gone_and_of_another_is_empty() -> None:
    files = (LogFile("/var/log/nova/nova-compute.log"),)
    told = story(
        requests=(request(status="error"),), found=(Found("c01", files=files), Found("ctl", files=files))
    )
    assert [gap.partition(":")[0] for gap in told.gaps] == ["c01"]


def test_a_log_whose_older_part_is_kept_has_no_gap() -> None:
    files = (
        LogFile("/var/log/nova/nova-compute.log", 10, AT + 3600),
        LogFile("/var/log/nova/nova-compute.log.1.gz", 10, AT - 3600),
    )
    assert story(requests=(request(status="error"),), found=(Found("c01", files=files),)).gaps == ()


def test_a_host_that_cannot_be_asked_is_told() -> None:
    told = story(found=(Found("c02", error="no answer within 4 s"),))
    assert told.gaps == ("c02: no answer within 4 s",)
    assert told.failed is None


def test_who_looked_meanwhile_is_noise() -> None:
    looked = replace(
        log_line(0, '127.0.0.1 "GET /v2.1/servers/x" status: 200 len: 1'),
        module="nova.api.openstack.requestlog",
    )
    asked = replace(looked, words='127.0.0.1 "POST /v2.1/servers/x/action" status: 202 len: 0')
    assert [each.noise for each in story(looked, asked).entries] == [True, False]
