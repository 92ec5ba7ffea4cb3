"""What all actions on a server ask first: is it still there, busy, and what do Nova's words mean."""

from http import HTTPStatus

from nodeops.actions.action import Look, Sent, State
from nodeops.errors import ApiError, DatabaseError, RecordsChangedError
from nodeops.model.facts import Explanation, Migration, PowerState, Server
from nodeops.model.world import View
from nodeops.plan import Step

DELETING = frozenset({"deleting", "soft-deleting"})
"""`nova/compute/task_states.py`."""
RESIZING = frozenset({"resize_prep", "resize_migrating", "resize_migrated", "resize_finish"})
_BEFORE_THE_COPY = ("conductor_", "compute_check_can_live_migrate_")
NO_VALID_HOST = "no valid host"

_WILL_NOT_CHANGE = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    }
)

GONE = Look(State.BLOCKED, "does not exist any more: deleted meanwhile")
NO_ANSWER_YET = Look(State.MOVING, "no answer came: waiting to see whether nova took the request")
NEVER_ARRIVED = Look(State.READY, "nova never got the request")
"""Of a request without an answer that had the time to show an effect, and has shown none."""


def left_alone(words: str) -> Look:
    """Somebody else changed the server since it was planned."""
    return Look(State.BLOCKED, f"{words}; left alone")


def busy(server: Server) -> Look:
    """Another task than ours; most end by themselves."""
    if server.task_state in DELETING:
        return left_alone("is being deleted")
    return Look(State.MOVING, f"is busy: {server.task_state}")


def as_planned(server: Server, step: Step, usual: str) -> Look:
    """READY in the vm_state of the step's params, or else in the `usual` one."""
    planned = step.params.get("vm_state", usual)
    if server.vm_state == planned:
        return Look(State.READY)
    return left_alone(f"is {server.status} now and was {planned} when planned")


def running(server: Server) -> str:
    """Whether the guest runs although its record says ERROR, in words."""
    if server.power_state == PowerState.RUNNING:
        return "its guest still runs"
    return "its guest does not run"


def unanswered(sent: Sent, effect: str = "nova took the request") -> Look | None:
    """What a request means that has shown no effect and had no answer; None when it was answered."""
    if not sent.ambiguous:
        return None
    if sent.settled:
        return NEVER_ARRIVED
    return Look(State.MOVING, f"no answer came: waiting to see whether {effect}")


def explained(view: View, step: Step, sent: Sent) -> Explanation | None:
    """Nova's own words for why the request failed, None when they are not known."""
    if not sent.request_id:
        return None
    return view.explain(step.subject_id, sent.request_id)


def because(words: str, explanation: Explanation | None) -> str:
    """The words, and Nova's own where it has some."""
    return f"{words}: {explanation.words}" if explanation is not None and explanation.words else words


def newest(migrations: tuple[Migration, ...], types: frozenset[str]) -> Migration | None:
    """The newest migration of one of these types."""
    return next((migration for migration in migrations if migration.type in types), None)


def target_was_refused(explanation: Explanation | None) -> bool:
    """Whether another target may do.

    The conductor asks the scheduler and then both hosts before anything is copied; what it refuses is this
    target (`nova/conductor/tasks/live_migrate.py`, `_find_destination`; `nova/conductor/tasks/migrate.py`).
    """
    if explanation is None:
        return False
    return explanation.event.startswith(_BEFORE_THE_COPY) or NO_VALID_HOST in explanation.words.lower()


def answer_refused(step: Step, error: ApiError) -> Look:
    """What Nova's immediate refusal of a request means.

    400 names a target that cannot be used, or says that no host is valid; 403 is policy; 404 a server that is
    gone; 409 a state that changed since the look, which the next look tells
    (`nova/api/openstack/compute/migrate_server.py`).
    """
    if isinstance(error, DatabaseError):
        return of_database(error)
    words = error.message
    if error.status == HTTPStatus.BAD_REQUEST and _names_target(step, words):
        return Look(State.FAILED, words, refused_target=True)
    if error.status == HTTPStatus.NOT_FOUND:
        return GONE
    retry = error.status not in _WILL_NOT_CHANGE
    return Look(State.FAILED, words, retry=retry)


def of_database(error: ApiError) -> Look:
    """What a refused transaction means: the row changed, or the database said no."""
    return Look(State.FAILED, error.message, retry=not isinstance(error, RecordsChangedError))


def _names_target(step: Step, words: str) -> bool:
    return NO_VALID_HOST in words.lower() or (step.target is not None and step.target in words)
