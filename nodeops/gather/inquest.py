"""Every clue to whether a host lives, asked at the same time, none waited for beyond its limit.

The cloud is asked by one thread, as everywhere; the host by one thread for each question, since one that
hangs must not hold up the others.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from multiprocessing import TimeoutError as NotInTimeError
from multiprocessing.pool import ThreadPool
from typing import Any

from nodeops.errors import NodeopsError
from nodeops.gather.hosts import find_host
from nodeops.model.senses import Clues, Power, PowerReading, Senses
from nodeops.model.world import View

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


@dataclass(frozen=True, slots=True)
class _Answers:
    found: dict[str, Any] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)
    """Source -> why it could not be asked."""


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
    """Raises what a question raises besides `NodeopsError`: that is a mistake, and no silence.

    The threads of a pool are daemons, so that one that hangs does not keep the program from ending.
    """
    answers, end = _Answers(), time.monotonic() + limit

    def ask(source: str) -> tuple[str, Any, str]:
        try:
            return source, questions[source](), ""
        except NodeopsError as error:
            return source, None, error.message

    pool = ThreadPool(len(questions))
    try:
        coming = pool.imap_unordered(ask, questions)
        for _ in questions:
            source, answer, why_not = coming.next(max(end - time.monotonic(), 0.0))
            if why_not:
                answers.silent[source] = why_not
            else:
                answers.found[source] = answer
            told(source, why_not)
    except NotInTimeError:
        for source in questions.keys() - answers.found.keys() - answers.silent.keys():
            answers.silent[source] = f"no answer within {limit:.0f} s"
    finally:
        pool.terminate()
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
