"""Whether something answers at an address: one TCP connection, closed at once."""

import socket
import time
from dataclasses import dataclass
from enum import StrEnum


class Answer(StrEnum):
    OPEN = "open"
    REFUSED = "refused"
    """The address answers, and nothing listens on the port."""
    SILENT = "silent"
    """Nothing came back in time: off, filtered or not there."""
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Knock:
    answer: Answer
    seconds: float
    words: str = ""


def knock(address: str, port: int, timeout: float) -> Knock:
    """Connect; `timeout` in seconds."""
    began = time.monotonic()
    words = ""
    try:
        socket.create_connection((address, port), timeout=timeout).close()
        answer = Answer.OPEN
    except TimeoutError:
        answer = Answer.SILENT
    except ConnectionRefusedError:
        answer = Answer.REFUSED
    except OSError as error:
        answer, words = Answer.UNREACHABLE, error.strerror or str(error)
    return Knock(answer, time.monotonic() - began, words)
