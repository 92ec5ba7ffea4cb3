"""`nodeops inspect --clean HOST`: what looks have left on a host is taken down."""

from collections.abc import Callable, Sequence

from nodeops.cli import ask
from nodeops.cli.desk import Desk
from nodeops.cli.inspect_lock import take_off
from nodeops.cli.inspect_run import host_looker
from nodeops.cli.options import Manner
from nodeops.cli.perform import command_line
from nodeops.cli.showing import Shown, show
from nodeops.clients.shell import Shell
from nodeops.engine.journal import Who
from nodeops.errors import FailedError, HostBusyError
from nodeops.gather import find_host
from nodeops.model.facts import Server
from nodeops.model.inspecting import SILENCE_SECONDS, DiskLooker, Look
from nodeops.outcome import Outcome, StepResult, StepState
from nodeops.plan import Plan, Risk, Step
from nodeops.runbooks.inspect import CLOSE, RUNBOOK, locked_by_run, unlock_step
from nodeops.runbooks.options import cloud_key


def clean_up(
    desk: Desk, host: str, manner: Manner, looker: Callable[[Shell], DiskLooker] = host_looker
) -> None:
    """Raises `FailedError` when something stays, `HostBusyError` while somebody looks."""
    world = desk.world()
    find_host(host, world.hosts())
    key = cloud_key(world.identity())
    with desk.shell(host) as shell:
        there = looker(shell)
        found = there.looks()
        _refuse_used(host, found)
        before = desk.journal().unfinished(key, host)
        at_work = before is not None and before.owner_alive
        locked = () if at_work else tuple(each for each in world.servers_on(host) if locked_by_run(each))
        steps = (*map(_step, found), *map(_unlock, locked))
        plan = Plan(RUNBOOK, host, key, {"clean": True}, steps, ())
        for step in plan.steps:
            desk.err().print(f"  {step.subject_name}: {step.why}", soft_wrap=True)
        ours = before is not None and before.runbook == RUNBOOK and not at_work
        if manner.dry_run or not (steps or ours):
            _tell(desk, manner, host, found, "nothing was changed" if steps else "nothing is left")
            return
        if steps:
            ask.confirm(plan, f"inspect --clean {host}: take it down?", yes=manner.yes)
        done = _take_down(desk, there, plan, found, locked)
    left = [words for each in done for words in each.left]
    _tell(desk, manner, host, done, "; ".join(left) or f"{host}: nothing is left")
    if left:
        raise FailedError(f"{host}: left: {'; '.join(left)}", hint="Look there; then clean again.")


def _take_down(
    desk: Desk, looker: DiskLooker, plan: Plan, found: Sequence[Look], locked: Sequence[Server]
) -> tuple[Look, ...]:
    """The looks as they ended; where nothing is left of them, the servers are unlocked too."""
    record = desk.journal().begin(plan, Who.here(desk.world().identity().user, command_line()))
    began = desk.now()
    for step in plan.steps:
        record.sending(step, 1, began)
    done = looker.clean(tuple(each.server_id for each in found)) if found else ()
    left = [words for each in done for words in each.left]
    for server in () if left else locked:
        take_off(desk, server.id, locked_by_run(server))
    state = StepState.FAILED if left else StepState.DONE
    for step in plan.steps:
        record.ended(step, StepResult(step.id, step.subject_id, step.action, state, "; ".join(left)))
    code = FailedError.exit_code if left else 0
    record.finish(Outcome(record.id, plan, (), started=began, ended=desk.now()), code)
    return done


def _refuse_used(host: str, found: Sequence[Look]) -> None:
    for each in found:
        if each.keeper_alive and each.phase in {"asked", "ready"} and each.silent_for < SILENCE_SECONDS / 2:
            raise HostBusyError(
                f"{host}: {each.who or 'somebody'} looks into server {each.server_id} right now",
                hint="A look whose nodeops is gone ends by itself within "
                f"{SILENCE_SECONDS:.0f} s; this one was heard {each.silent_for:.0f} s ago.",
            )


def _step(found: Look) -> Step:
    parts = [f"of {found.who}" if found.who else "of somebody", f"{found.mounts} mounted"]
    if found.suspended:
        parts.append("its guest suspended")
    parts.append("its keeper lives" if found.keeper_alive else "its keeper is gone")
    return Step(
        f"{CLOSE}:{found.server_id}", CLOSE, found.server_id, found.server_id, ", ".join(parts), Risk.SAFE
    )


def _unlock(server: Server) -> Step:
    return unlock_step(server, f"locked in Nova by nodeops' run {locked_by_run(server)}: unlock it")


def _tell(desk: Desk, manner: Manner, host: str, looks: Sequence[Look], words: str) -> None:
    document = {
        "command": "inspect-clean",
        "host": host,
        "dry_run": manner.dry_run,
        "exit_code": 0,
        "looks": [
            {
                "server": each.server_id,
                "who": each.who,
                "phase": each.phase,
                "reason": each.reason,
                "guest": each.state_after,
                "left": list(each.left),
            }
            for each in looks
        ],
        "words": words,
        "error": None,
    }
    lines = [*map(_line, looks), words]
    show(desk, manner.output, Shown(lambda: document, lambda: "\n".join(lines) + "\n", lambda _width: lines))


def _line(look: Look) -> str:
    guest = f"; the guest is {look.state_after}" if look.state_after else ""
    return f"{look.server_id}  {look.phase}  {look.reason}{guest}"
