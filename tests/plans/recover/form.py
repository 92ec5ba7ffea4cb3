"""Facts, options and expectations of a recovery from the compact JSON beside this file.

Times (`at`, `fault_at`) are seconds after the boot. A server is ACTIVE and runs unless it says otherwise;
`asked` are the actions that switch it, newest first, null when nobody could ask.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from nodeops.model.facts import AttachedVolume, Attachment, Fault, Host, PowerState, Server
from nodeops.model.readiness import Check, Standing
from nodeops.model.reattaching import ReattachFacts
from nodeops.model.recovering import Asked, Probe, RecoverFacts, Remembered
from nodeops.model.states import Domain
from nodeops.plan import Plan
from nodeops.runbooks.options import MoveOptions
from nodeops.runbooks.priority import Priority
from nodeops.runbooks.recover import RecoverOptions, plan_recover
from tests.plans.form import server_of

BOOTED = 1_795_000_000.0
HOST = "c01"


@dataclass(frozen=True)
class Case:
    """One file of this folder."""

    facts: RecoverFacts
    options: RecoverOptions
    expect: Mapping[str, Any] = field(default_factory=dict)

    def plan(self) -> Plan:
        return plan_recover(self.facts, self.options)


def case_of(data: Mapping[str, Any]) -> Case:
    said = data.get("options", {})
    move = MoveOptions(allow=frozenset(said.get("allow", ())), parallel=4, canary=False, retries=1)
    options = RecoverOptions(
        move,
        tuple(Priority.parse(each) for each in data.get("priority", ())),
        Probe(data.get("probe", "console")),
        force=data.get("force", False),
    )
    return Case(facts_of(data), options, data.get("expect", {}))


def facts_of(data: Mapping[str, Any]) -> RecoverFacts:
    said = data["servers"]
    servers = tuple(_server(each) for each in said)
    at = data.get("remembered", {}).get("at", 0)
    return RecoverFacts(
        cloud="test",
        now=BOOTED + 300,
        host=Host(HOST, "service-c01"),
        servers=servers,
        checks=tuple(
            Check(each["code"], each["code"], Standing(each["standing"]), "wrong", "right", "Mend it.")
            for each in data.get("checks", ())
        ),
        booted=None if "booted" in data else BOOTED,
        runs={each["name"]: each["runs"] for each in said if "runs" in each},
        domains=tuple(
            Domain(each["name"], each["name"], PowerState.SHUTDOWN)
            for each in said
            if each.get("defined", True)
        ),
        asked={each["name"]: _asked(each["asked"]) for each in said if each.get("asked") is not None},
        remembered={
            each["name"]: Remembered("r-1", BOOTED + at, each["was"]) for each in said if "was" in each
        },
        promised={name: BOOTED + begun for name, begun in data.get("promised", {}).items()},
        volumes=_volumes(said, servers),
    )


def _server(said: Mapping[str, Any]) -> Server:
    server = server_of(said, HOST)
    volumes = said.get("volumes", ())
    server = replace(server, volume_ids=tuple(each["id"] for each in volumes), root_device="/dev/vda")
    if "fault_at" not in said:
        return server
    return replace(server, fault=Fault("it failed", 500, _time(BOOTED + said["fault_at"])))


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _asked(said: list[dict[str, Any]]) -> tuple[Asked, ...]:
    return tuple(
        Asked(each["action"], f"req-{number}", BOOTED + each["at"], each["by"])
        for number, each in enumerate(said)
    )


def _volumes(said: list[dict[str, Any]], servers: tuple[Server, ...]) -> ReattachFacts:
    held = [(each["name"], volume) for each in said for volume in each.get("volumes", ())]
    named: dict[str, tuple[AttachedVolume, ...]] = {}
    for server, volume in held:
        mapping = AttachedVolume(volume["id"], server, volume["device"], f"attachment-{volume['id']}")
        named[server] = (*named.get(server, ()), mapping)
    attachments = tuple(
        Attachment(f"attachment-{volume['id']}", volume["id"], server, "attached", volume["host"])
        for server, volume in held
    )
    return ReattachFacts("test", Host(HOST, "service-c01"), None, servers, named, attachments)
