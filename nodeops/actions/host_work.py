"""`work`, `reboot-host`, `power-cycle-host`: what a maintenance window is for.

Step: `subject_id` the host's name.
Params of all: `boot`, the id of the boot before, filled in and journaled before anything is sent.
Params of `work`:
- `work`: the name under which the host keeps it; the engine fills in `run`, which makes it unique.
- `argv`: the command, or the arguments of the script.
- `script_sha256`: of the script, which the action holds; empty for a command.
- `again`: true begins anew what is known to have ended badly.

Work runs on the host detached from every connection and leaves its exit code there, under a name that begins
once only: so a lost connection ends nothing, and what was sent without an answer is never sent into the dark
again. A reboot is proved by another boot id.
"""

from dataclasses import dataclass, field, replace

from nodeops.actions.action import Look, Sent, State
from nodeops.actions.compute_service import unreachable
from nodeops.actions.kinds import MachineAction
from nodeops.errors import ApiError, SshError
from nodeops.model.machine import Machine, Work, WorkReport, WorkState
from nodeops.model.senses import PowerAction, PowerSwitch
from nodeops.model.world import View, World
from nodeops.plan import Step, Verdict

MOST_WORDS = 160


def work_id(step: Step) -> str:
    """The name the host knows it by."""
    return f"{step.params.get('run', 'run')}-{step.params['work']}"


def _with_boot(machine: Machine, step: Step) -> Step:
    return replace(step, params={**step.params, "boot": machine.boot(step.subject_id).id})


@dataclass(frozen=True, slots=True)
class RunWork(MachineAction):
    machine: Machine
    script: str = field(default="", repr=False)
    name: str = "work"

    def remember(self, step: Step) -> Step:
        return _with_boot(self.machine, step)

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:  # noqa: ARG002 - the cloud does not know
        try:
            report = self.machine.work(step.subject_id, work_id(step))
        except SshError as error:
            return unreachable(error, sent)
        if report.state is WorkState.RUNNING:
            return Look(State.MOVING, f"runs{_last(report)}")
        if report.state is WorkState.ENDED:
            return _ended(step, report, sent)
        return _lost(step, report, sent) if report.state is WorkState.LOST else _absent(step, report, sent)

    def act(self, world: World, step: Step) -> str:  # noqa: ARG002 - the cloud has no part in it
        argv = step.params.get("argv")
        words = tuple(str(word) for word in argv) if isinstance(argv, list) else ()
        again = bool(step.params.get("again"))
        self.machine.begin_work(step.subject_id, Work(work_id(step), words, self.script, again))
        return work_id(step)


def _last(report: WorkReport) -> str:
    lines = [line for line in report.output.splitlines() if line.strip()]
    return f": {lines[-1].strip()[:MOST_WORDS]}" if lines else ""


def _ended(step: Step, report: WorkReport, sent: Sent | None) -> Look:
    where = f"all of it is in {report.log} on {step.subject_id}"
    if report.exit_code == 0:
        return Look(State.DONE, f"ended with 0{_last(report)}; {where}")
    if sent is None and step.params.get("again"):
        return Look(State.READY)
    words = f"ended with {report.exit_code}{_last(report)}; {where}"
    return Look(State.BLOCKED if sent is None else State.FAILED, words, retry=False)


def _lost(step: Step, report: WorkReport, sent: Sent | None) -> Look:
    if sent is None and step.params.get("again"):
        return Look(State.READY)
    rebooted = report.boot_id != report.now_boot_id
    why = "the host went down under it" if rebooted else "it was killed"
    where = f"its output is in {report.log} on {step.subject_id}"
    words = f"began and left no exit code ({why}){_last(report)}; {where}"
    return _nobody_knows(words, sent)


def _nobody_knows(words: str, sent: Sent | None) -> Look:
    """How it ended; it is not begun again without somebody's word."""
    if sent is None:
        return Look(State.BLOCKED, words)
    return Look(State.FAILED, words, verdict=Verdict.UNKNOWN, retry=False)


def _absent(step: Step, report: WorkReport, sent: Sent | None) -> Look:
    """Nothing of it is there. Only of a request that had no answer, in the same boot, is that proof."""
    if sent is None:
        return Look(State.READY)
    if not sent.ambiguous:
        return _nobody_knows("was begun, and its traces on the host are gone", sent)
    if report.now_boot_id != step.params.get("boot"):
        words = "may have run: the host was rebooted since, and nothing of it is there"
        return _nobody_knows(words, sent)
    if not sent.settled:
        return Look(State.MOVING, "no answer came: waiting to see whether it begins")
    return Look(State.READY, "it never began")


@dataclass(frozen=True, slots=True)
class RebootHost(MachineAction):
    """An orderly reboot; with a `power` switch the power is cycled instead."""

    machine: Machine
    power: PowerSwitch | None = None

    @property
    def name(self) -> str:
        return "reboot-host" if self.power is None else "power-cycle-host"

    def remember(self, step: Step) -> Step:
        return _with_boot(self.machine, step)

    def look(self, view: View, step: Step, sent: Sent | None) -> Look:  # noqa: ARG002 - the cloud does not know
        try:
            boot = self.machine.boot(step.subject_id)
        except SshError as error:
            look = unreachable(error, sent)
            booting = sent is not None and look.state is State.MOVING
            return replace(look, words=f"is down, or booting: {look.words}") if booting else look
        except ApiError as error:
            return Look(State.MOVING, f"is booting: {error.message}")
        if sent is None:
            return Look(State.READY)
        if boot.id != step.params.get("boot"):
            return Look(State.DONE, f"has booted: boot {boot.id[:8]}, kernel {boot.kernel}")
        if sent.ambiguous and sent.settled:
            return Look(State.READY, "is in the boot from before: the request was lost")
        return Look(State.MOVING, "is in the boot from before still")

    def act(self, world: World, step: Step) -> str:  # noqa: ARG002 - the cloud has no part in it
        if self.power is None:
            self.machine.reboot(step.subject_id)
        else:
            self.power.switch(step.subject_id, PowerAction.CYCLE)
        return ""
