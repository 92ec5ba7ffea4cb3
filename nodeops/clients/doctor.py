"""What a drain needs of the cloud, one question each, and the way out when the answer is bad.

Changes nothing. The one write that is sent, to learn whether the policy allows it, names a service that
does not exist: Nova looks at the policy first (`nova/api/openstack/compute/services.py`).
"""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from nodeops.clients.cloud import Cloud
from nodeops.clients.compute import SERVICES, as_pair
from nodeops.errors import ApiError, AuthenticationError, NodeopsError, UnsupportedError
from nodeops.model.facts import Host

NOBODY = str(uuid.UUID(int=0))
MOST_SKEW = 5.0
"""Seconds between the cloud's clock and ours from which times mislead."""
GAINS = ((2, 96), "zones that servers are pinned to"), ((2, 100), "scheduler hints")
"""What older compute APIs do not tell."""
NEEDED_ROLE = "admin"
MANY = 5
"""Names are listed up to so many."""


class Health(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_ASKED = "not-asked"


@dataclass(frozen=True, slots=True)
class Check:
    """One answer."""

    name: str
    health: Health
    found: str
    hint: str = ""
    error: NodeopsError | None = None
    """What failed, with its exit code."""


Found = tuple[str, str]
"""What was found, and a hint when it is a warning."""


@dataclass
class Doctor:
    cloud: Cloud
    hosts: Sequence[Host] = field(default_factory=list)

    def examine(self) -> Iterator[Check]:
        """Every check, in the order in which they build on each other. Without a token nothing is asked."""
        first, *others = self._questions()
        reached = _check(*first)
        yield reached
        for name, question, needed in others:
            if reached.health is Health.FAILED:
                yield Check(name, Health.NOT_ASKED, "not asked")
            else:
                yield _check(name, question, needed)

    def _questions(self) -> tuple[tuple[str, Callable[[], Found], bool], ...]:
        return (
            ("keystone", self.identity, True),
            ("compute API", self.compute, True),
            ("compute hosts", self.compute_hosts, True),
            ("nova services", self.nova_services, False),
            ("servers", self.servers, True),
            ("migrations", self.migrations, False),
            ("server groups and aggregates", self.groups, False),
            ("permission to disable a host", self.may_disable, True),
            ("permission to migrate", self.may_migrate, False),
            ("placement", self.placement, False),
            ("neutron", self.network, False),
            ("neutron agents", self.agents, False),
            ("cinder", self.volume, False),
            ("glance", self.image, False),
            ("clock", self.clock, False),
        )

    def identity(self) -> Found:
        connection = self.cloud.connection
        connection.headers()
        access = connection.access()
        roles = sorted(_roles(access))
        user, project = getattr(access, "username", None) or "?", getattr(access, "project_name", None)
        scope = f"project {project}" if project else "no project"
        words = f"{connection.auth_url} as {user} in {scope}, roles: {', '.join(roles) or 'none'}"
        hint = (
            "" if project else "Nova, Neutron and Cinder want a token of a project: give --os-project-name."
        )
        return words, hint

    def compute(self) -> Found:
        compute = self.cloud.compute
        words = f"microversion {compute.microversion} is used, the cloud offers {compute.highest}"
        offered = as_pair(compute.highest)
        missing = [what for version, what in GAINS if offered < version]
        return words, f"This release does not tell {' and '.join(missing)}." if missing else ""

    def compute_hosts(self) -> Found:
        self.hosts = self.cloud.hosts()
        away = [host for host in self.hosts if not host.serves]
        cells = [host.name for host in self.hosts if not host.service_id]
        words = f"{len(self.hosts)} hosts, {len(self.hosts) - len(away)} in service"
        if away:
            words += f"; not in service: {_names([f'{host.name} ({_why(host)})' for host in away])}"
        if cells:
            return words, "Look at the database and message queue of the cell that cannot be reached."
        if len(self.hosts) - len(away) < len("ab"):
            return words, "A drain needs another host that is enabled and up."
        return words, ""

    def nova_services(self) -> Found:
        answer = self.cloud.compute.service.get("os-services", subject="nova services", microversion=SERVICES)
        others = [each for each in answer.body["services"] if each["binary"] != "nova-compute"]
        down = [f"{each['binary']} on {each['host']}" for each in others if each.get("state") != "up"]
        kinds = sorted({each["binary"] for each in others if each.get("state") == "up"})
        words = f"up: {', '.join(kinds) or 'none'}"
        lost = {"nova-conductor", "nova-scheduler"} - set(kinds)
        if lost:
            return words, f"Without {' and '.join(sorted(lost))} nothing can be moved: start it."
        return (
            (f"{words}; down: {_names(down)}", "Start them, or delete their records.")
            if down
            else (words, "")
        )

    def servers(self) -> Found:
        host = self._a_host()
        if host is None:
            return "no host to look at", ""
        return f"of all projects, with their hosts ({host}: {len(self.cloud.servers_on(host))})", ""

    def migrations(self) -> Found:
        host = self._a_host()
        if host is None:
            return "no host to look at", ""
        found = self.cloud.migrations_from(host)
        self.cloud.progress(NOBODY)
        return f"readable ({host}: {len(found)} of the last day)", ""

    def groups(self) -> Found:
        groups, aggregates = self.cloud.groups(), self.cloud.aggregates()
        return f"{len(groups)} groups, {len(aggregates)} aggregates", ""

    def may_disable(self) -> Found:
        try:
            self.cloud.enable(NOBODY)
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
        return "allowed", ""

    def may_migrate(self) -> Found:
        if NEEDED_ROLE in _roles(self.cloud.connection.access()):
            return (
                f"by the role {NEEDED_ROLE}, as far as nova's defaults go; a first move tells for certain",
                "",
            )
        words = f"this account has no role {NEEDED_ROLE}, which nova's defaults want"
        return words, "Use an admin account, unless os_compute_api:os-migrate-server is allowed to this one."

    def placement(self) -> Found:
        providers = self.cloud.candidates({"VCPU": 1})
        known = {host.provider_id for host in self.hosts}
        return f"{len(known & providers.keys())} hosts have a free VCPU", ""

    def network(self) -> Found:
        host = self._a_host()
        if host is None:
            return "no host to look at", ""
        return f"port bindings are shown ({host}: {len(self.cloud.ports_bound_to(host))} ports)", ""

    def agents(self) -> Found:
        try:
            answer = self.cloud.network.service.get("agents", subject="neutron agents")
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return "this network has no agents", ""
            raise
        agents: Sequence[Mapping[str, Any]] = answer.body["agents"]
        dead = [f"{each['agent_type']} on {each['host']}" for each in agents if not each.get("alive")]
        if not agents:
            return "none are shown to this account", ""
        words = f"{len(agents) - len(dead)} alive"
        if not dead:
            return words, ""
        return (
            f"{words}; dead: {_names(dead)}",
            "No port can be bound on a host whose agent is dead: start it.",
        )

    def volume(self) -> Found:
        self.cloud.attachments_of([NOBODY])
        if NEEDED_ROLE in _roles(self.cloud.connection.access()):
            return "attachments of all projects are readable", ""
        words = f"without the role {NEEDED_ROLE} cinder shows attachments of one project only"
        return words, "Use an admin account: volumes of other projects could not be checked after a move."

    def image(self) -> Found:
        self.cloud.image_properties(NOBODY)
        return "images are readable", ""

    def clock(self) -> Found:
        skew = self.cloud.traffic.skew
        if skew is None:
            return "the cloud did not tell its time", "Its web servers send no Date header."
        if abs(skew) < MOST_SKEW:
            return f"within {MOST_SKEW:.0f} s of ours", ""
        words = f"the cloud's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours"
        return words, "Look at chrony or ntpd on both sides."

    def _a_host(self) -> str | None:
        return next((host.name for host in self.hosts if host.service_id), None)


def examine(cloud: Cloud) -> Iterator[Check]:
    """Ask everything; raises nothing."""
    return Doctor(cloud).examine()


def _check(name: str, question: Callable[[], Found], needed: bool) -> Check:  # noqa: FBT001 - a row of a table
    """A service that a drain can do without is a warning when it is missing or forbidden."""
    try:
        found, hint = question()
    except AuthenticationError as error:
        return Check(name, Health.FAILED, error.message, error.hint, error)
    except (ApiError, UnsupportedError) as error:
        health = Health.FAILED if needed else Health.WARNING
        return Check(name, health, error.message, error.hint or "Look at nodeops -vv.", error)
    return Check(name, Health.WARNING if hint else Health.OK, found, hint)


def _roles(access: Any) -> frozenset[str]:
    return frozenset(getattr(access, "role_names", None) or ())


def _why(host: Host) -> str:
    if not host.service_id:
        return "its cell cannot be reached"
    if host.forced_down:
        return "forced down"
    if not host.up:
        return "down"
    return f"disabled: {host.disabled_reason}" if host.disabled_reason else "disabled"


def _names(names: Sequence[str]) -> str:
    more = len(names) - MANY
    return ", ".join(names[:MANY]) + (f" and {more} more" if more > 0 else "")
