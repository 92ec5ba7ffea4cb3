"""A host's power, by the commands of the inventory: ipmitool, fence agents, curl to Redfish, or a site's own.

No shell is involved: the command is split into words first, and {host}, {address} and {action} are filled in
afterwards, so that a name never becomes a second command. What a command prints is believed only where it
says `on` or `off` in words; an exit code alone proves nothing, since usage errors have the codes that fence
agents use (`lib/fencing.py.py` of fence-agents: 0 on, 2 off).
"""

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, Any

from nodeops.errors import ApiError, ConfigurationError
from nodeops.log import redact
from nodeops.model.senses import Power, PowerAction, PowerReading

STATUS_SECONDS = 7.0
SWITCH_SECONDS = 60.0
MOST_BYTES = 64 * 1024
MOST_WORDS = 160
"""Letters of a command's output that are shown."""
ACTION = "{action}"
FENCE_OFF = 2
"""Exit code of a fence agent's `status` for a host that is off."""
_SAYS = (
    re.compile(r"power\s+is\s+(on|off)\b", re.IGNORECASE),
    re.compile(r"^\s*status:\s*(on|off)\s*$", re.IGNORECASE | re.MULTILINE),
    re.compile(r"^\s*(on|off)\s*$", re.IGNORECASE | re.MULTILINE),
)
_REDFISH = {"on": Power.ON, "off": Power.OFF}


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that was run on this machine."""

    program: str
    code: int | None
    """None: it did not end in time, and was killed."""
    out: str
    err: str

    @property
    def words(self) -> str:
        """The end of what it said, in one line, without secrets."""
        said = [text.strip() for text in (self.err, self.out) if text.strip()]
        last = said[0].splitlines()[-1] if said else "said nothing"
        return redact(last)[:MOST_WORDS]


def run(argv: Sequence[str], seconds: float) -> Ended:
    """Run a command without a shell; it and what it started are killed when its time is over.

    Raises `ConfigurationError` when it cannot be started.
    """
    program = os.path.basename(argv[0])  # noqa: PTH119 - a name, no path
    with TemporaryFile() as out, TemporaryFile() as err:
        try:
            process = subprocess.Popen(
                list(argv), stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )
        except OSError as error:
            raise ConfigurationError(
                f"{program}: {(error.strerror or str(error)).lower()}",
                hint="Install it, or mend the command in the inventory.",
            ) from None
        try:
            code: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process)
        return Ended(program, code, _head(out), _head(err))


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _head(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(MOST_BYTES).decode(errors="replace")


@dataclass(frozen=True, slots=True)
class FenceCommand:
    """The commands of one host; `status` when it has its own."""

    host: str
    address: str
    command: str
    status: str = ""

    @property
    def asks(self) -> bool:
        """Whether the power can be asked for at all."""
        return bool(self.status) or ACTION in self.command

    @property
    def acts(self) -> bool:
        return bool(self.command)

    def reading(self, seconds: float = STATUS_SECONDS) -> PowerReading:
        """Never raises: what does not answer has said nothing."""
        if not self.asks:
            return PowerReading(Power.UNKNOWN, f"its fence command has no {ACTION}: it can only power off")
        try:
            ended = run(self._argv(self.status or self.command, PowerAction.STATUS), seconds)
        except ConfigurationError as error:
            return PowerReading(Power.UNKNOWN, error.message)
        if ended.code is None:
            return PowerReading(Power.UNKNOWN, f"{ended.program} did not answer within {seconds:.0f} s")
        state = understood(ended.code, ended.out)
        if state is not Power.UNKNOWN:
            return PowerReading(state, str(state))
        return PowerReading(state, f"{ended.program} ended with {ended.code}: {ended.words}")

    def switch(self, action: PowerAction, seconds: float = SWITCH_SECONDS) -> str:
        """Raises `ConfigurationError` or `ApiError`."""
        if not self.acts or (ACTION not in self.command and action is not PowerAction.OFF):
            raise ConfigurationError(
                f"{self.host}: no fence command can power it {action}",
                hint=f"Write nodeops_fence_command with {ACTION} in the inventory.",
            )
        ended = run(self._argv(self.command, action), seconds)
        if ended.code is None:
            raise ApiError(f"{ended.program} did not end within {seconds:.0f} s", ambiguous=True)
        if ended.code:
            raise ApiError(
                f"{ended.program} ended with {ended.code}: {ended.words}",
                hint="Run it by hand, and mend nodeops_fence_command in the inventory.",
            )
        return ended.words

    def _argv(self, command: str, action: PowerAction) -> list[str]:
        return filled(command, host=self.host, address=self.address, action=str(action))


def filled(command: str, **values: str) -> list[str]:
    """The words of a command with its place holders replaced: split first, so that a value stays one word."""
    return [word.format_map(values) for word in shlex.split(command)]


def understood(code: int, out: str) -> Power:
    """What a status command said: Redfish's JSON, `Chassis Power is off`, `Status: OFF`, or the bare word."""
    if code not in {0, FENCE_OFF}:
        return Power.UNKNOWN
    state = _redfish(out) if out.lstrip().startswith("{") else _in_words(out)
    if code == FENCE_OFF and state is not Power.OFF:
        return Power.UNKNOWN
    return state


def _in_words(out: str) -> Power:
    said = {found.lower() for pattern in _SAYS for found in pattern.findall(out)}
    return Power(said.pop()) if len(said) == 1 else Power.UNKNOWN


def _redfish(out: str) -> Power:
    """`ComputerSystem.PowerState` (DSP0268): also PoweringOn, PoweringOff and Paused, which are neither."""
    try:
        body: Any = json.loads(out)
    except ValueError:
        return Power.UNKNOWN
    word = body.get("PowerState") if isinstance(body, dict) else None
    return _REDFISH.get(word.lower(), Power.UNKNOWN) if isinstance(word, str) else Power.UNKNOWN
