"""The program's entry: every error becomes words, a hint and an exit code here, and nowhere else."""

import os
import signal
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import NoReturn

from nodeops.errors import SIGNAL_BASE, DeclinedError, InterruptedRunError, NodeopsError, UsageError

CHANGING = frozenset({"drain", "undrain", "apply", "resume", "keep", "move", "reserve", "rescue"})
"""Commands after whose errors the operator is told whether anything was changed."""
FIRST_CHANGED, LAST_CHANGED = 10, 19


class Signalled(BaseException):
    """A signal came while nothing was under way; no `Exception`, so that nothing on the way catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def main() -> NoReturn:
    """The console script `nodeops`."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _raise_signalled)
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Run one command line and return its exit code; nothing but a `SystemExit` of completion escapes."""
    try:
        return _invoke(words)
    except NodeopsError as error:
        return tell(error, words)
    except Signalled as signalled:
        name = signal.Signals(signalled.number).name
        return tell(InterruptedRunError(f"ended by {name}", signal_number=signalled.number), words)
    except BrokenPipeError:
        from nodeops.cli.output import forget_stdout

        forget_stdout()
        return SIGNAL_BASE + signal.SIGPIPE
    except Exception as error:  # noqa: BLE001 - the program's entry: what nobody foresaw is a bug
        return tell_bug(error)


def _raise_signalled(number: int, _frame: FrameType | None) -> NoReturn:
    raise Signalled(number)


def _invoke(words: Sequence[str]) -> int:
    import typer

    from nodeops.cli.app import app
    from nodeops.cli.globals import Globals, separate

    rest, cloud = separate(words)
    command = typer.main.get_command(app)
    try:
        ended = command.main(rest, prog_name="nodeops", standalone_mode=False, obj=Globals(cloud=cloud))
    except typer.Abort:
        raise DeclinedError("the question was not answered") from None
    except typer.TyperException as error:
        raise _usage(error) from None
    return ended if isinstance(ended, int) else 0


def _usage(error: Exception) -> UsageError:
    """Typer's own errors, in our words."""
    words = getattr(error, "format_message", error.__str__)().strip().rstrip(".")
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", "nodeops")
    return UsageError(words[:1].lower() + words[1:], hint=f"{path} --help explains it.")


def tell(error: NodeopsError, words: Sequence[str]) -> int:
    """Tell the operator, and programs that asked for JSON; `words` is the command line."""
    from nodeops.cli.exit_codes import exit_code

    code = exit_code(error)
    if wants_json(words):
        from nodeops.cli.output import error_document

        error_document(error, code)
    _say(f"nodeops: {error.message}")
    if error.hint:
        _say(f"hint: {error.hint}")
    if code != UsageError.exit_code and _command(words) in CHANGING:
        changed = _changed(code, error)
        if changed:
            _say(changed)
    return code


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _changed(code: int, error: NodeopsError) -> str:
    if isinstance(error, InterruptedRunError):
        return "" if error.hint else "nothing was changed"
    return "" if FIRST_CHANGED <= code <= LAST_CHANGED else "nothing was changed"


def wants_json(words: Sequence[str]) -> bool:
    """Whether the command line asks for JSON, known even when the rest of it is wrong."""
    if _command(words) == "plan":
        pairs, single = {("--format", "json")}, {"--format=json"}
    else:
        pairs, single = {("-o", "json"), ("--output", "json")}, {"-ojson", "--output=json"}
    return bool(pairs.intersection(pairwise(words)) or single.intersection(words))


def _command(words: Sequence[str]) -> str:
    from nodeops.cli.globals import separate

    try:
        rest, _cloud = separate(words)
    except UsageError:
        rest = list(words)
    known = (word for word in rest if not word.startswith("-"))
    return next((word for word in known if word in {*CHANGING, "plan"}), "")


def tell_bug(error: Exception) -> int:
    """Short words for the operator; the traceback, without secrets, goes to a file."""
    import traceback

    from nodeops.log import redact

    where = _debug_file(redact("".join(traceback.format_exception(error))))
    _say(f"nodeops: a bug in nodeops: {type(error).__name__}")
    _say(f"hint: Please report it with {where}; the same command can be run again.")
    return 1


def _debug_file(text: str) -> str:
    """Where the traceback was written, in words."""
    import tempfile
    import time

    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    name = f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    for folder in (Path(state) / "nodeops", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = folder / name
            path.touch(mode=0o600, exist_ok=False)
            path.write_text(text)
        except OSError:
            continue
        return str(path)
    return "the traceback, which could not be written anywhere"


if __name__ == "__main__":
    main()
