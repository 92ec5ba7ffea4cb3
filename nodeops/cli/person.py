"""Who works on a host while nodeops waits: heard on the terminal, or through a file."""

import hashlib
import select
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nodeops import config
from nodeops.plan import Step


def marker_of(host: str) -> Path:
    """The file that `nodeops maintain HOST --go-on` leaves."""
    return config.state_directory() / f"go-on-{hashlib.sha256(host.encode()).hexdigest()[:16]}"


@dataclass(slots=True)
class TerminalPerson:
    """Enter on this terminal, or `--go-on` from another one of the same user."""

    marker: Path
    say: Callable[[str], None]
    _asked: set[str] = field(default_factory=set)

    def has_gone_on(self, step: Step) -> str:
        if step.id not in self._asked:
            self._asked.add(step.id)
            enter = "press Enter here, or " if sys.stdin.isatty() else ""
            name = step.subject_id
            self.say(f"{name} is yours. When you are done {enter}say: nodeops maintain {name} --go-on")
        if self.marker.exists():
            who = self.marker.read_text().strip() or "somebody"
            self.marker.unlink(missing_ok=True)
            return who
        if sys.stdin.isatty() and select.select([sys.stdin], [], [], 0)[0]:
            sys.stdin.readline()
            return "Enter on the terminal"
        return ""
