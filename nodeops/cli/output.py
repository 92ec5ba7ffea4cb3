"""What goes to stdout and to stderr: data there, progress and questions here."""

import json
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


def document(value: Any) -> None:
    """Write the command's one JSON document."""
    _Stdout.document_written = True
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def error_document(error: NodeopsError, code: int) -> None:
    """Write the error as the document, unless the command wrote its own, which holds the error then."""
    if not _Stdout.document_written:
        document({"exit_code": code, "error": error_value(error)})


def error_value(error: NodeopsError) -> dict[str, str]:
    return {"code": error.code, "message": error.message, "hint": error.hint}
