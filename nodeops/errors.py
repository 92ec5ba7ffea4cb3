"""Every way nodeops can end, each with the exit code that says whether anything was changed.

Bands (`DESIGN`: exit codes answer "did anything change?"):
0 done · 1 a bug · 2 usage · 3-9 nothing was changed · 10-19 something was changed ·
20-29 could not look, nothing sent · 30-39 looked, and it is not as it should be ·
100 a plan that has changes · 128+N ended by signal N.
"""

from enum import StrEnum
from http import HTTPStatus
from typing import ClassVar


class NodeopsError(Exception):
    """An end that the operator is told about in words, never by a traceback.

    The class docstring's first line is what the exit-code table in the docs says of it.
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "bug"
    """A stable name for programs, printed in JSON output."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(NodeopsError):
    """The command line is wrong: an option, an argument, a duration, a size."""

    exit_code = 2
    code = "usage"


class UnknownHostError(UsageError):
    """No compute host has exactly this name."""

    code = "unknown-host"


class UnknownServerError(UsageError):
    """No server, or more than one, is meant by this id or name."""

    code = "unknown-server"


class UnknownRunError(UsageError):
    """No run in the journal has this id."""

    code = "unknown-run"


class UnknownRequestError(UsageError):
    """Neither the API nor any log that was read has the request."""

    code = "unknown-request"


class DeclinedError(NodeopsError):
    """The operator said no, or could not be asked; nothing was changed."""

    exit_code = 3
    code = "declined"


class ConfigurationError(NodeopsError):
    """The inventory, clouds.yaml, journal or environment cannot be used; nothing was changed."""

    exit_code = 4
    code = "configuration"


class RefusedError(NodeopsError):
    """The plan refuses servers and nothing allows leaving them; nothing was changed."""

    exit_code = 5
    code = "refused"


class StalePlanError(NodeopsError):
    """The world is no longer what the plan was made for; nothing was changed."""

    exit_code = 6
    code = "stale-plan"


class HostBusyError(NodeopsError):
    """Another run holds this host; nothing was changed."""

    exit_code = 7
    code = "host-busy"


class NeedsMoreRiskError(NodeopsError):
    """Every refused server could be moved with more risk than was allowed; nothing was changed."""

    exit_code = 8
    code = "needs-more-risk"


class UnsupportedError(NodeopsError):
    """The cloud cannot do what was asked (too old, or a service is missing); nothing was changed."""

    exit_code = 9
    code = "unsupported"


class FailedError(NodeopsError):
    """Something was changed and the work failed; no server was moved."""

    exit_code = 10
    code = "failed"


class WindowOpenError(FailedError):
    """A step of a maintenance window failed: the host stays disabled, and the run can be gone on with."""

    code = "window-open"


class PartlyDoneError(NodeopsError):
    """Some servers were moved and some were left."""

    exit_code = 11
    code = "partly-done"


class OutcomeUnknownError(NodeopsError):
    """Something was sent and how it ended could not be seen."""

    exit_code = 12
    code = "outcome-unknown"


class JournalLostError(OutcomeUnknownError):
    """The journal could no longer be written: nothing more was sent, Nova goes on with what it has."""

    code = "journal-lost"


class LockLostError(OutcomeUnknownError):
    """Another process took this run over: nothing more was sent from here."""

    code = "lock-lost"


class NotVerifiedError(NodeopsError):
    """The work was done, and the check afterwards found something wrong or could not look."""

    exit_code = 13
    code = "not-verified"


class ApiError(NodeopsError):
    """An OpenStack API could not be asked; nothing was sent.

    `status` is the HTTP status, or None when there was no answer. `ambiguous` says that the call may have
    taken effect although no answer came.
    """

    exit_code = 20
    code = "api"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        request_id: str | None = None,
        ambiguous: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.request_id = request_id
        self.ambiguous = ambiguous


class SshReason(StrEnum):
    """What stood between us and a command on a host."""

    NO_ADDRESS = "no-address"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    HANGING = "hanging"
    """It took the connection and said nothing."""
    HOST_KEY_UNKNOWN = "host-key-unknown"
    HOST_KEY_CHANGED = "host-key-changed"
    AUTHENTICATION = "authentication"
    SUDO = "sudo"
    TIMED_OUT = "timed-out"
    """The command did not end in time."""
    LOST = "lost"
    """The connection broke while the command ran."""
    UNUSABLE = "unusable"
    """The two programs have no way of speaking in common, or a configuration is broken."""


class SshError(ApiError):
    """A host could not be reached or used over SSH; nothing was sent.

    `ambiguous` when a command was sent and how it ended is not known; `jump` when it was the jump host.
    """

    exit_code = 21
    code = "ssh"

    def __init__(
        self, message: str, *, hint: str = "", reason: SshReason, ambiguous: bool = False, jump: bool = False
    ) -> None:
        super().__init__(message, hint=hint, ambiguous=ambiguous)
        self.reason = reason
        self.jump = jump


class HostTroubleError(ApiError):
    """A host was reached and cannot do what was asked; nothing was sent."""

    exit_code = 21
    code = "host-trouble"


class ForbiddenError(ApiError):
    """The cloud's policy forbids this account what is needed; nothing was sent."""

    exit_code = 24
    code = "forbidden"


class DatabaseError(ApiError):
    """A database could not be reached or read; nothing was sent.

    `ambiguous` when the connection was lost at the commit.
    """

    exit_code = 22
    code = "database"


class RecordsChangedError(DatabaseError):
    """A row was not as the write expected it; that write changed nothing."""

    code = "records-changed"

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Counts as the conflict it is: the database did answer, and asking again does not help."""
        super().__init__(message, hint=hint, status=HTTPStatus.CONFLICT)


class AuthenticationError(NodeopsError):
    """Keystone did not accept the credentials, or there are none; nothing was sent."""

    exit_code = 23
    code = "authentication"


class FindingsError(NodeopsError):
    """Something was looked at and findings are left; nothing was sent."""

    exit_code = 30
    code = "findings"


class HostLivesError(NodeopsError):
    """The host that was asked about lives; nothing was sent."""

    exit_code = 34
    code = "alive"


class CannotTellError(NodeopsError):
    """Nothing proves that the host is alive or dead: its servers may be running; nothing was sent."""

    exit_code = 35
    code = "cannot-tell"


class TimedOutError(NodeopsError):
    """What was waited for did not come in time; nothing was sent."""

    exit_code = 31
    code = "timed-out"


class GoneError(NodeopsError):
    """What was watched does not exist any more; nothing was sent."""

    exit_code = 32
    code = "gone"


class ErrorStateError(NodeopsError):
    """A server that was watched went into ERROR; nothing was sent."""

    exit_code = 33
    code = "error-state"


class InterruptedRunError(NodeopsError):
    """A signal ended the run; it says what is still running in Nova and how to go on."""

    code = "interrupted"

    def __init__(self, message: str, *, signal_number: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.signal_number = signal_number


PLAN_HAS_CHANGES = 100
"""Exit code of a plan that would change something, with `--exit-code`."""
SIGNAL_BASE = 128
"""Added to a signal's number: 130 for Ctrl-C, 143 for SIGTERM."""
