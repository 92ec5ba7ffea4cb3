"""The debug log: a plain file for after the event, in which no secret ever stands.

It is not rotated here: `WatchedFileHandler` notices when logrotate moved the file.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import WatchedFileHandler
from pathlib import Path

HIDDEN = "***"
WIRE = ("keystoneauth", "openstack", "urllib3")
"""Loggers that tell of every call to the cloud."""
_SHORTEST = 4
"""Shorter secrets are not searched for: they would blank out ordinary words."""

_NAME = r"[\w.-]*(?:password|passwd|passcode|secret|admin_?pass|token|private_?key)"
_QUOTED = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"""
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # scheme://user:password@host
    (re.compile(r"""(://[^\s:/@"']*:)[^\s"']*@"""), rf"\1{HIDDEN}@"),
    # X-Auth-Token: …, Authorization: …, Cookie: …, up to the end of what is quoted
    (
        re.compile(
            r"""((?:x-[\w-]*token|authorization|(?:set-)?cookie)["']?\s*[:=]\s*["']?)[^"'\r\n,}]+""",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    # --os-password VALUE, also as two words of a printed list
    (re.compile(rf"""(--{_NAME}["']?[\s,=]+)(?:{_QUOTED}|[^\s,\]]+)""", re.IGNORECASE), rf"\1{HIDDEN}"),
    # "password": "…", password='…', OS_PASSWORD=…, ?token=…; an object under such a key is looked into
    (
        re.compile(rf"""({_NAME}["']?\s*[:=]\s*)(?:[bru]?(?:{_QUOTED})|[^\s,;&"'{{}}\])]+)""", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    # Fernet and JWS tokens, wherever they stand
    (re.compile(r"\b(?:gAAAAA|eyJ)[\w.=-]{20,}"), HIDDEN),
)
_concealed: set[str] = set()


def conceal(secret: str) -> None:
    """Never write this text, whatever stands around it."""
    if len(secret) >= _SHORTEST:
        _concealed.add(secret)


def redact(text: str) -> str:
    """The text without passwords, tokens and keys."""
    for secret in sorted(_concealed, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


class RedactingFormatter(logging.Formatter):
    """Redacts the whole finished text: the message, its arguments and a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _LogFile(WatchedFileHandler):
    """A log that cannot be written is no reason to end, nor to write a traceback over the progress."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name in logging
        del record


@contextmanager
def debug_log(path: Path, *, wire: bool = False) -> Iterator[str]:
    """Write nodeops's debug messages to a file, readable by its owner only; with `wire`, every API call too.

    Yields why that cannot be done, in words, or an empty string; it is never an error.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        handler = _LogFile(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        yield f"debug log {path}: {(error.strerror or str(error)).lower()}"
        return
    handler.setFormatter(RedactingFormatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    levels = {"nodeops": logging.DEBUG, **dict.fromkeys(WIRE, logging.DEBUG if wire else logging.WARNING)}
    loggers = [logging.getLogger(name) for name in levels]
    before = [logger.level for logger in loggers]
    for logger, level in zip(loggers, levels.values(), strict=True):
        logger.setLevel(level)
        logger.addHandler(handler)
    try:
        yield ""
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
        with suppress(OSError):  # a full disk
            handler.close()
