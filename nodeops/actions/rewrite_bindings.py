"""`rewrite-bindings` and `restore-bindings`: both binding tables of a server's compute ports, by SQL.

Step: `subject_id` the server.
Params:
- `near`: the host in whose cell the server is.
- `ports`: ids of its compute ports.
- `source`, `target`: names of the hosts.
- `unbind`: Neutron is told next (`bind-ports`), and shall bind them anew.
- `run` (`restore-bindings` only): the run whose undo file has the rows as they were.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.allocation import ready_or_failed
from nodeops.actions.kinds import RowAction
from nodeops.actions.rewrite_records import by_near, images_of
from nodeops.actions.subject import GONE, left_alone
from nodeops.model.records import BindingRecord, BindingRewrite, BindingStatus, ServerRecord
from nodeops.model.world import View, World
from nodeops.plan import Step

UNCHANGED = "its bindings are unchanged"
Records: TypeAlias = Mapping[str, ServerRecord]
"""By the server's id."""


def binding_rewrite_of(step: Step) -> BindingRewrite:
    """What the step writes, or takes back."""
    ports = tuple(cast("Sequence[str]", step.params["ports"]))
    source, target = str(step.params["source"]), str(step.params["target"])
    return BindingRewrite(step.subject_id, ports, source, target, unbind=bool(step.params.get("unbind")))


@dataclass(frozen=True, slots=True)
class RewriteBindings(RowAction[Records]):
    name: str = "rewrite-bindings"
    takes_effect_at_once: bool = True

    def _found(self, view: View, steps: Sequence[Step]) -> Records:
        return _records(view, steps)

    def _judged(self, found: Records, step: Step, sent: Sent | None) -> Look:
        record = found.get(step.subject_id)
        if record is None:
            return GONE
        rewrite = binding_rewrite_of(step)
        hosts = {each.host for each in _active(record, rewrite)}
        if hosts <= {rewrite.target, ""}:  # without a host: Neutron was just binding it anew
            return Look(State.DONE, f"its ports' rows are on {rewrite.target}")
        if not hosts <= {rewrite.source, rewrite.target}:
            return left_alone(f"a port of it is bound on {', '.join(sorted(hosts))}")
        return ready_or_failed(sent, UNCHANGED)

    def act(self, world: World, step: Step) -> str:
        world.records.rewrite_bindings(binding_rewrite_of(step))
        return ""


@dataclass(frozen=True, slots=True)
class RestoreBindings(RowAction[Records]):
    name: str = "restore-bindings"
    directory: Path | None = None
    takes_effect_at_once: bool = True

    def _found(self, view: View, steps: Sequence[Step]) -> Records:
        return _records(view, steps)

    def _judged(self, found: Records, step: Step, sent: Sent | None) -> Look:
        record = found.get(step.subject_id)
        if record is None:
            return GONE
        rewrite = binding_rewrite_of(step)
        hosts = {each.host for each in _active(record, rewrite)}
        if hosts <= {rewrite.source}:
            return Look(State.DONE, f"its ports' rows are on {rewrite.source}")
        if not hosts <= {rewrite.source, rewrite.target, ""}:
            return left_alone(f"a port of it is bound on {', '.join(sorted(hosts))}")
        return ready_or_failed(sent, UNCHANGED)

    def act(self, world: World, step: Step) -> str:
        """A port without a host was just being bound by Neutron: its row is on the target again first."""
        rewrite, record = binding_rewrite_of(step), _records(world, [step]).get(step.subject_id)
        for binding in _active(record, rewrite) if record else ():
            if not binding.host:
                world.bind_port(binding.port_id, rewrite.target)
        world.records.restore_bindings(images_of(step, self.directory), rewrite)
        return ""


def _records(view: View, steps: Sequence[Step]) -> Records:
    found: dict[str, ServerRecord] = {}
    for near, those in by_near(steps).items():
        found |= view.records.server_records([step.subject_id for step in those], near, volumes=False)
    return found


def _active(record: ServerRecord, rewrite: BindingRewrite) -> list[BindingRecord]:
    """Of the ports that still exist."""
    return [
        each
        for each in record.bindings
        if each.port_id in rewrite.port_ids and each.status == BindingStatus.ACTIVE
    ]
