"""Which volumes are attached, which are not any more, and what brings them back: a plan.

A data volume of a server that is ACTIVE or STOPPED is detached and attached again at the same device. What
cannot be detached, and what a running guest need not lose for it, gets a new attachment in place, which needs
the databases and a connector of the host. A root volume is never detached.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from nodeops.model.facts import AttachedVolume, Attachment, Server
from nodeops.model.reattaching import ReattachFacts
from nodeops.model.records import ServerRecord, VolumeRecord
from nodeops.plan import Action, Finding, Json, Level, Plan, Refusal, Risk, ServerPlan, Step, StepId
from nodeops.runbooks.classes import CLASSES
from nodeops.runbooks.rewrite_scene import HOST_FREE

RUNBOOK = "reattach"
DETACH_SECONDS = 5.0
ATTACH_SECONDS = 8.0
BUDGET_SECONDS = 300.0
"""libvirt is given most of a minute to let go of a disk, and tries eight times."""
DETACHABLE = frozenset({"active", "stopped"})
OFF_HOST = frozenset({"shelved", "shelved_offloaded"})


class Standing(StrEnum):
    """How one volume of a server stands."""

    ATTACHED = "attached"
    DANGLING = "dangling"
    """Cinder has an attachment, and Nova has no mapping or another one."""
    LOST = "lost"
    """Nova has a mapping, and Cinder has no such attachment."""
    HALF = "half"
    """Reserved, attaching, detaching or in error."""
    ELSEWHERE = "elsewhere"
    """Attached to another host."""
    DETACHED = "detached"
    """An unfinished run has taken it off, or is attaching it."""

    @property
    def stale(self) -> bool:
        return self in {Standing.LOST, Standing.HALF, Standing.ELSEWHERE}


@dataclass(frozen=True, slots=True)
class Case:
    """One volume of one server."""

    server: Server
    volume: AttachedVolume
    """As Nova names it; of a dangling attachment only the volume is known."""
    standing: Standing
    words: str
    attachment: Attachment | None = None
    """The one that Nova names, or the dangling one."""

    @property
    def root(self) -> bool:
        server = self.server
        first = server.volume_ids[:1] == (self.volume.volume_id,)
        is_root = self.volume.device == server.root_device if server.root_device else first
        return server.boots_from_volume and is_root

    @property
    def host_free(self) -> bool:
        """Its connection is the same on every host: only the record is stale."""
        return self.attachment is not None and self.attachment.driver in HOST_FREE


def cases(facts: ReattachFacts) -> tuple[Case, ...]:
    """Every volume of every server, in order."""
    return tuple(case for server in facts.servers for case in _of_server(facts, server))


def _of_server(facts: ReattachFacts, server: Server) -> Iterator[Case]:
    mine = {each.id: each for each in facts.attachments if each.server_id == server.id}
    named = facts.named.get(server.id, ())
    promised = {each.volume_id: each for each in facts.promised if each.server_id == server.id}
    for volume in named:
        attachment = mine.get(volume.attachment_id or "")
        standing, words = _standing(server, volume, attachment)
        before = promised.get(volume.volume_id)
        if before is not None and standing.stale and volume.attachment_id != before.attachment_id:
            standing, words = Standing.DETACHED, f"{words}, by an unfinished run"
        yield Case(server, volume if before is None else before, standing, words, attachment)
    ours = {volume.attachment_id for volume in named}
    mapped = {volume.volume_id for volume in named}
    for each in mine.values():
        if each.id not in ours:
            why = "names another one" if each.volume_id in mapped else "has no mapping of it"
            words = (
                f"volume {each.volume_id}: cinder has attachment {each.id} ({each.status}), and nova {why}"
            )
            volume = AttachedVolume(each.volume_id, server.id, "", None)
            yield Case(server, volume, Standing.DANGLING, words, each)
    for volume in promised.values():
        if volume.volume_id not in mapped:
            words = f"volume {volume.volume_id} is detached by an unfinished run"
            yield Case(server, volume, Standing.DETACHED, words)


def _standing(server: Server, volume: AttachedVolume, attachment: Attachment | None) -> tuple[Standing, str]:
    what = f"volume {volume.volume_id} at {volume.device or 'no device'}"
    if attachment is None:
        return Standing.LOST, f"{what}: cinder has no attachment {volume.attachment_id or 'of it'}"
    if server.vm_state in OFF_HOST or server.host is None:
        return Standing.ATTACHED, f"{what} is kept for it ({attachment.status})"
    if attachment.status != "attached":
        return Standing.HALF, f"{what} is {attachment.status}"
    if attachment.host is not None and attachment.host != server.host:
        return (
            Standing.ELSEWHERE,
            f"{what} is attached to {attachment.host}, and the server is on {server.host}",
        )
    return Standing.ATTACHED, f"{what} is attached"


def plan_reattach(facts: ReattachFacts) -> Plan:
    """Servers whose volumes are all attached are in the plan too, with nothing to do."""
    found: dict[str, list[Case]] = {server.id: [] for server in facts.servers}
    for case in cases(facts):
        found[case.server.id].append(case)
    concerned = [server for server in facts.servers if found[server.id] or server.volume_ids]
    planned = [_Planner(facts, server, found[server.id]) for server in concerned]
    steps = [step for each in planned for step in each.steps]
    return Plan(
        runbook=RUNBOOK,
        host=facts.host.name,
        cloud=facts.cloud,
        options={"server": facts.server_id},
        steps=tuple(steps),
        servers=tuple(each.server_plan() for each in planned),
        findings=tuple(_findings(facts, found)),
        expected_seconds=sum(step.expected_seconds for step in steps),
    )


def _findings(facts: ReattachFacts, found: Mapping[str, Sequence[Case]]) -> Iterator[Finding]:
    for server in facts.servers:
        for case in found[server.id]:
            if case.standing is not Standing.ATTACHED:
                root = "its root: " if case.root else ""
                words = f"{server.name}: {root}{case.words}"
                yield Finding(Level.INFO, f"volume-{case.standing}", words, subject=server.id)
    for words in facts.unseen:
        hint = "On which host a volume is attached may not be known then."
        yield Finding(Level.WARNING, "unseen", f"could not be asked: {words}", hint)


class _Planner:
    """One server: what is done about each of its volumes, one after the other."""

    def __init__(self, facts: ReattachFacts, server: Server, found: Sequence[Case]) -> None:
        self.steps: list[Step] = []
        self.refusals: list[Refusal] = []
        self._facts = facts
        self._server = server
        self._found = found
        broken = [case for case in found if case.standing is not Standing.ATTACHED]
        if broken and server.task_state is not None:
            self._refuse("not-detachable", f"is in task {server.task_state}")
            return
        for case in sorted(broken, key=lambda case: case.standing is not Standing.DANGLING):
            self._mend(case)
        if self.refusals:
            # A server is mended whole or not at all.
            self.steps.clear()

    def server_plan(self) -> ServerPlan:
        server = self._server
        broken = [case.words for case in self._found if case.standing is not Standing.ATTACHED]
        number = len(self._found)
        return ServerPlan(
            id=server.id,
            name=server.name,
            status=server.status,
            action=Action.MEND if self.steps else Action.NONE,
            refusals=tuple(self.refusals),
            why="; ".join(broken) or f"{number} {'volume is' if number == 1 else 'volumes are'} attached",
            risk=max((step.risk for step in self.steps), default=Risk.SAFE),
            expected_seconds=sum(step.expected_seconds for step in self.steps),
            state={"vm_state": server.vm_state},
        )

    def _mend(self, case: Case) -> None:
        if case.standing is Standing.DANGLING and case.attachment is not None:
            params: dict[str, Json] = {"attachment": case.attachment.id, "volume": case.volume.volume_id}
            self._step("delete-attachment", case.attachment.id, case.words, params, 2.0, Risk.SAFE)
        elif case.standing is Standing.DETACHED:
            self._attach(case)
        elif (case.root or case.host_free) and self._renew(case):
            return
        elif case.root:
            self._refuse("root-volume", f"{case.words}; {self._by_hand(case)}")
        elif self._server.vm_state not in DETACHABLE:
            self._refuse("not-detachable", f"is {self._server.status}, and {case.words}")
        elif not self._facts.host.up or self._facts.host.forced_down:
            self._refuse("not-detachable", f"its host {self._facts.host.name} is down, and {case.words}")
        else:
            why = f"{case.words}; a running guest has to unmount it first"
            self._step(
                "detach-volume", case.volume.volume_id, why, _volume(case), DETACH_SECONDS, Risk.REBOOT
            )
            self._attach(case)

    def _attach(self, case: Case) -> None:
        why = f"attached again at {case.volume.device or 'a free device'}"
        key = case.volume.volume_id
        self._step("attach-volume", key, why, _volume(case), ATTACH_SECONDS, Risk.REBOOT)

    def _renew(self, case: Case) -> bool:
        """Whether a new attachment can be made in place."""
        record = self._facts.records.get(self._server.id)
        if record is None or case.attachment is None or self._facts.connector is None:
            return False
        row = _row(record, case)
        if row is None:
            return False
        params = _renewal(self._facts, row, case.attachment)
        why = f"{case.words}: a new attachment"
        self._step("renew-attachments", row.volume_id, why, params, 3.0, Risk.FORCE)
        return True

    def _refuse(self, name: str, reason: str) -> None:
        self.refusals.append(CLASSES[name].refusal(reason))

    def _by_hand(self, case: Case) -> str:
        host, volume = self._server.host, case.volume.volume_id
        return (
            f"stop it, on {host} run nova-manage volume_attachment get_connector --json > {host}.json, and "
            f"on a controller nova-manage volume_attachment refresh {self._server.id} {volume} {host}.json"
        )

    def _step(  # noqa: PLR0917 - the parts of a step
        self, action: str, key: str, why: str, params: Mapping[str, Json], seconds: float, risk: Risk
    ) -> None:
        needs: tuple[StepId, ...] = (self.steps[-1].id,) if self.steps else ()
        self.steps.append(
            Step(
                id=f"{action}:{self._server.id}:{key}",
                action=action,
                subject_id=self._server.id,
                subject_name=self._server.name,
                why=why,
                risk=risk,
                params=params,
                needs=needs,
                expected_seconds=seconds,
                budget_seconds=BUDGET_SECONDS,
            )
        )


def _volume(case: Case) -> dict[str, Json]:
    volume = case.volume
    return {
        "volume": volume.volume_id,
        "device": volume.device,
        "old": volume.attachment_id or "",
        "tag": volume.tag,
        "delete_on_termination": volume.delete_on_termination,
        "vm_state": case.server.vm_state,
    }


def promised_of(steps: Sequence[Step]) -> tuple[AttachedVolume, ...]:
    """What the steps of an earlier plan were to attach."""
    return tuple(
        AttachedVolume(
            volume_id=str(step.params["volume"]),
            server_id=step.subject_id,
            device=str(step.params["device"]),
            attachment_id=str(step.params["old"]) or None,
            tag=str(step.params["tag"]),
            delete_on_termination=bool(step.params["delete_on_termination"]),
        )
        for step in steps
        if step.action == "attach-volume"
    )


def _row(record: ServerRecord, case: Case) -> VolumeRecord | None:
    mine = [each for each in record.volumes if each.volume_id == case.volume.volume_id]
    return mine[0] if len(mine) == 1 else None


def _renewal(facts: ReattachFacts, row: VolumeRecord, attachment: Attachment) -> dict[str, Json]:
    volume: dict[str, Json] = {
        "volume": row.volume_id,
        "mapping": row.mapping_id,
        "old": attachment.id,
        "device": row.device,
        "multiattach": row.multiattach,
    }
    return {"near": facts.host.name, "volumes": [volume], "connector": dict(facts.connector or {})}
