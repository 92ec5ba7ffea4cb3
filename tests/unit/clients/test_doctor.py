"""The checks tell what is wrong and the way out, and change nothing."""

from typing import Any

from nodeops.clients.cloud import Cloud
from nodeops.clients.doctor import NOBODY, Check, Health, examine
from nodeops.errors import AuthenticationError, ForbiddenError
from tests.unit.clients.answers import Reply, Script

FORBIDDEN = Reply(403, {"forbidden": {"code": 403, "message": "Policy doesn't allow this."}})


def service(host: str, binary: str = "nova-compute", **more: Any) -> dict[str, Any]:
    return {"id": host, "binary": binary, "host": host, "status": "enabled", "state": "up"} | more


def healthy() -> dict[str, Reply]:
    """A cloud where all is well, by check, in the order in which it is asked."""
    computes = [service("c01"), service("c02")]
    controllers = [service("a", "nova-conductor"), service("a", "nova-scheduler")]
    hypervisors = [
        {"id": f"node-{name}", "hypervisor_hostname": name, "service": {"host": name}}
        for name in ("c01", "c02")
    ]
    room = {"root_provider_uuid": "node-c01", "resources": {"VCPU": {"capacity": 4, "used": 1}}}
    request = {"allocations": {"node-c01": {"resources": {"VCPU": 1}}}}
    return {
        "version": Reply(body={"version": {"version": "2.104"}}),
        "services": Reply(body={"services": computes}),
        "hypervisors": Reply(body={"hypervisors": hypervisors}),
        "all services": Reply(body={"services": computes + controllers}),
        "servers": Reply(body={"servers": []}),
        "migrations": Reply(body={"migrations": []}),
        "finished": Reply(body={"migrations": []}),
        "progress": Reply(404),
        "groups": Reply(body={"server_groups": []}),
        "aggregates": Reply(body={"aggregates": []}),
        "enable": Reply(404),
        "candidates": Reply(
            body={"provider_summaries": {"node-c01": room}, "allocation_requests": [request]}
        ),
        "ports": Reply(body={"ports": []}),
        "agents": Reply(
            body={"agents": [{"agent_type": "Open vSwitch agent", "host": "c01", "alive": True}]}
        ),
        "attachments": Reply(body={"attachments": []}),
        "image": Reply(404),
    }


def checks(cloud: Cloud, script: Script, **spoilt: Reply) -> dict[str, Check]:
    replies = healthy() | {name.replace("_", " "): reply for name, reply in spoilt.items()}
    script.reply(*replies.values())
    return {check.name: check for check in examine(cloud)}


def test_a_healthy_cloud(cloud: Cloud, script: Script) -> None:
    found = checks(cloud, script)
    assert {check.health for check in found.values()} == {Health.OK}
    assert not any(check.hint for check in found.values())
    assert script.replies == type(script.replies)()
    writes = [asked for asked in script.asked if asked.method != "GET"]
    assert [(asked.method, asked.path) for asked in writes] == [
        ("PUT", f"/compute/v2.1/os-services/{NOBODY}")
    ]


def test_services_that_are_down_are_named(cloud: Cloud, script: Script) -> None:
    computes = [
        service("c01"),
        service("c02", state="down"),
        service("c03", status="disabled", disabled_reason="disk"),
    ]
    others = [service("a", "nova-conductor"), service("b", "nova-scheduler", state="down")]
    agent = {"agent_type": "Open vSwitch agent", "host": "c01", "alive": False}
    found = checks(
        cloud,
        script,
        services=Reply(body={"services": computes}),
        all_services=Reply(body={"services": computes + others}),
        agents=Reply(body={"agents": [agent]}),
    )
    hosts = found["compute hosts"]
    assert hosts.health is Health.WARNING
    assert "c02 (down), c03 (disabled: disk)" in hosts.found
    assert "another host" in hosts.hint
    assert "Without nova-scheduler nothing can be moved" in found["nova services"].hint
    assert "dead: Open vSwitch agent on c01" in found["neutron agents"].found


def test_what_is_forbidden(cloud: Cloud, script: Script) -> None:
    found = checks(cloud, script, enable=FORBIDDEN, candidates=FORBIDDEN)
    disable = found["permission to disable a host"]
    assert disable.health is Health.FAILED
    assert isinstance(disable.error, ForbiddenError)
    assert found["placement"].health is Health.WARNING
    assert "admin role" in found["placement"].hint


def test_an_older_release_says_what_it_does_not_tell(cloud: Cloud, script: Script) -> None:
    version = Reply(body={"version": {"version": "2.93"}})
    compute = checks(cloud, script, version=version)["compute API"]
    assert compute.health is Health.WARNING
    assert "zones that servers are pinned to and scheduler hints" in compute.hint


def test_a_clock_that_is_off(cloud: Cloud, script: Script) -> None:
    replies = list(healthy().values())
    late = Reply(404, headers={"Date": "Sat, 21 Nov 2015 06:00:00 GMT"})
    script.reply(*replies[:-1], late)
    clock = {check.name: check for check in examine(cloud)}["clock"]
    assert clock.health is Health.WARNING
    assert "behind ours" in clock.found
    assert "chrony" in clock.hint


def test_without_a_token_nothing_else_is_asked(cloud: Cloud, script: Script) -> None:
    script.password = "another"
    first, *others = examine(cloud)
    assert first.health is Health.FAILED
    assert isinstance(first.error, AuthenticationError)
    assert {check.health for check in others} == {Health.NOT_ASKED}
    assert script.asked == []
