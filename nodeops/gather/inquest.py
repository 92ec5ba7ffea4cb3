"""Every clue to whether a host lives, asked at the same time, none waited for beyond its limit.

The cloud is asked by one thread, as everywhere; the host by one thread for each question, since one that
hangs must not hold up the others.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from threading import Condition, Thread
from typing import Any

from nodeops.errors import NodeopsError
from nodeops.gather.hosts import find_host
from nodeops.senses import Clues, Power, PowerReading, Senses
from nodeops.world import View

LIMIT_SECONDS = 17.0
"""For all of it."""
APART_SECONDS = 2.5
"""Between two looks at power that is off."""
Told = Callable[[str, str], None]
"""Source, and why it could not be asked; empty when it was."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited, and how."""

    limit: float = LIMIT_SECONDS
    apart: float = APART_SECONDS
    sleep: Callable[[float], None] = time.sleep


@dataclass
class _Answers:
    """What threads bring in; whoever waits is woken by each."""

    told: Told
    found: dict[str, Any] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)
    changed: Condition = field(default_factory=Condition)
    closed: bool = False

    def bring(self, source: str, question: Callable[[], Any]) -> None:
        try:
            answer, why_not = question(), ""
        except NodeopsError as error:
            answer, why_not = None, error.message
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits for the answers
            answer, why_not = None, "failed"
            with self.changed:
                self.errors.append(error)
        with self.changed:
            if self.closed:
                return
            if why_not:
                self.silent[source] = why_not
            else:
                self.found[source] = answer
            self.told(source, why_not)
            self.changed.notify_all()


def gather_clues(
    view: View,
    senses: Senses,
    host: str,
    now: Callable[[], float],
    *,
    told: Told = lambda _source, _why_not: None,
    patience: Patience = Patience(),
) -> Clues:
    """Raises `UnknownHostError`; every other failure is a clue that is missing, with the reason.

    `now` is the cloud's clock; `told` is called for each source once it was asked, one after the other.
    """
    found = find_host(host, view.hosts())
    questions: Mapping[str, Callable[[], Any]] = {
        "cloud": lambda: _of_cloud(view, host),
        "power": lambda: _powers(senses, host, patience),
        "ping": lambda: senses.ping(host),
        "ssh": lambda: senses.ssh(host),
        "libvirt": lambda: senses.guests(host),
        "hook": lambda: senses.hook(host),
    }
    answers = _asked_together(questions, told, patience.limit)
    of_cloud: Clues | None = answers.found.get("cloud")
    silent = dict(answers.silent)
    if why_not := silent.pop("cloud", ""):
        silent |= dict.fromkeys(("network-agent", "ports", "volumes"), why_not)
    clues = of_cloud or Clues(host, 0.0)
    return replace(
        clues,
        at=now(),
        service=found,
        powers=answers.found.get("power"),
        ping=answers.found.get("ping"),
        ssh=answers.found.get("ssh"),
        guests=answers.found.get("libvirt"),
        hook=answers.found.get("hook"),
        silent={**clues.silent, **silent},
    )


def _asked_together(questions: Mapping[str, Callable[[], Any]], told: Told, limit: float) -> _Answers:
    """Daemons, since one that hangs must not keep the program from ending."""
    answers = _Answers(told)
    for source, question in questions.items():
        Thread(target=answers.bring, args=(source, question), name=f"ask {source}", daemon=True).start()
    with answers.changed:
        answers.changed.wait_for(
            lambda: len(answers.found) + len(answers.silent) == len(questions), timeout=limit
        )
        answers.closed = True
        for source in questions.keys() - answers.found.keys() - answers.silent.keys():
            answers.silent[source] = f"no answer within {limit:.0f} s"
    if answers.errors:
        raise answers.errors[0]
    return answers


def _powers(senses: Senses, host: str, patience: Patience) -> tuple[PowerReading, ...]:
    """Power that is off is looked at twice: a controller that restarts says all kinds of things."""
    first = senses.power(host)
    if first is None:
        return ()
    if first.state is not Power.OFF:
        return (first,)
    patience.sleep(patience.apart)
    second = senses.power(host)
    return (first, second) if second is not None else (first,)


def _of_cloud(view: View, host: str) -> Clues:
    """What Nova, Neutron and Cinder have of the host; what one of them refuses is told as such."""
    silent: dict[str, str] = {}

    def ask(source: str, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except NodeopsError as error:
            silent[source] = error.message
            return None

    agents = ask("network-agent", lambda: view.agents_on(host))
    ports = ask("ports", lambda: view.ports_bound_to(host))
    servers = ask("volumes", lambda: view.servers_on(host))
    with_volumes = [server.id for server in servers or () if server.volume_ids]
    attachments: Any = () if servers is not None else None
    if with_volumes:
        attachments = ask("volumes", lambda: view.attachments_of(with_volumes))
    return Clues(host, 0.0, None, agents, servers, ports, attachments, silent=silent)
