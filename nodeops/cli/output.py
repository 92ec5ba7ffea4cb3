"""What goes to stdout."""

import json
import os
import sys
from enum import StrEnum
from typing import Any

from nodeops.errors import NodeopsError


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


class _Stdout:
    """Whether a JSON document was written already: there is one per command."""

    document_written = False


def text(words: str) -> None:
    """Write to stdout; when nobody reads it any more, go on in silence: a run must not end for that."""
    try:
        sys.stdout.write(words)
        sys.stdout.flush()
    except BrokenPipeError:
        forget_stdout()


def document(value: Any) -> None:
    """Write the command's one JSON document."""
    _Stdout.document_written = True
    text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def stream_line(value: Any) -> None:
    """Write one object of a stream, a line; the stream holds the command's error too."""
    _Stdout.document_written = True
    text(json.dumps(value, ensure_ascii=False) + "\n")


def error_document(error: NodeopsError, code: int) -> None:
    """Write the error as the document, unless the command wrote its own, which holds the error then."""
    if not _Stdout.document_written:
        document({"exit_code": code, "error": error_value(error)})


def error_value(error: NodeopsError) -> dict[str, str]:
    return {"code": error.code, "message": error.message, "hint": error.hint}


def forget_stdout() -> None:
    """Keep every later write, and the interpreter's last flush, from failing again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
