"""`Probe` by ping from here, and by what libvirt says at the target of a move."""

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from nodeops.clients.ping import Heard, Pinger
from nodeops.clients.shell import Command, Shell
from nodeops.errors import NodeopsError
from nodeops.events import Event, StepEnded, StepSent
from nodeops.model.blackout import Blackout, Way
from nodeops.model.facts import Server
from nodeops.outcome import StepState

LIVE = frozenset({"live-migrate", "block-migrate"})
LINGER_SECONDS = 5.0
"""How long an answer after a move is waited for."""
TICK = 0.05
ASKED_AT_ONCE = 4
VIRSH_SECONDS = 10.0
_DOWNTIME = re.compile(r"^Total downtime:\s+(\d+)\s+ms$", re.MULTILINE)


@dataclass(slots=True)
class _Move:
    address: str
    ended: float | None = None
    """By the monotonic clock; None while it goes on."""
    over: bool = False
    """Nothing more is to be heard of it."""


class Ears(Protocol):
    """`Pinger`, or what stands for it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def begin(self, address: str) -> None: ...

    def end(self, address: str) -> None: ...

    def heard(self, address: str) -> Heard: ...


class PingProbe:
    """Pings every guest from the moment its move is sent until it answers after the move's end."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        words: Mapping[str, str],
        *,
        pinger: Ears | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`words` says of those without an address why they have none."""
        self._addresses, self._words = addresses, words
        self._moves: dict[str, _Move] = {}
        self._untold: dict[str, str] = {}
        self._pinger = pinger or Pinger()
        self._clock, self._sleep = clock, sleep

    def __enter__(self) -> Self:
        self._pinger.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        deadline = self._clock() + LINGER_SECONDS
        if kind is None:
            while self._settle() and self._clock() < deadline:
                self._sleep(TICK)
        self._pinger.__exit__(kind, error, trace)

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepSent) and event.step.action in LIVE:
            self._begin(event.step.subject_id)
        elif isinstance(event, StepEnded) and event.step.subject_id in self._moves:
            self._moves[event.step.subject_id].ended = self._clock()
        self._settle()

    def blackouts(self) -> Mapping[str, Blackout]:
        untold = {key: Blackout(Way.PING, None, words) for key, words in self._untold.items()}
        return {**untold, **{key: self._blackout(move) for key, move in self._moves.items()}}

    def _begin(self, server_id: str) -> None:
        address = self._addresses.get(server_id)
        if address is None:
            self._untold[server_id] = self._words.get(server_id, "nothing is known of its addresses")
        elif server_id in self._moves:  # tried again
            self._moves[server_id].ended = None
        else:
            self._moves[server_id] = _Move(address)
            self._pinger.begin(address)

    def _settle(self) -> bool:
        """Let go of those that answer again, or do not in time; whether any is waited for."""
        now = self._clock()
        for move in self._moves.values():
            if move.over or move.ended is None:
                continue
            last = self._pinger.heard(move.address).last
            if last is None or last > move.ended or now > move.ended + LINGER_SECONDS:
                self._pinger.end(move.address)
                move.over = True
        return any(move.ended is not None and not move.over for move in self._moves.values())

    def _blackout(self, move: _Move) -> Blackout:
        heard = self._pinger.heard(move.address)
        if heard.first is None or heard.last is None:
            words = f"cannot be pinged: {heard.trouble}" if heard.trouble else "does not answer a ping"
            return Blackout(Way.PING, None, f"{move.address} {words}")
        if move.ended is None:
            return Blackout(Way.PING, None, "its move was not seen to end")
        if heard.last <= move.ended:
            words = f"{move.address} answered before its move and not in the {LINGER_SECONDS:.0f} s after it"
            return Blackout(Way.PING, None, words, silent=True)
        if heard.first > move.ended:
            return Blackout(Way.PING, None, f"{move.address} answered only after its move")
        return Blackout(Way.PING, round(heard.blackout, 3))


class LibvirtProbe:
    """Asks the target's libvirt, once a move is over, how long the guest was stopped."""

    def __init__(self, shell: Callable[[str], Shell]) -> None:
        self._shell = shell
        self._pool = ThreadPoolExecutor(ASKED_AT_ONCE)
        self._asked: dict[str, Future[Blackout]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)

    def __call__(self, event: Event) -> None:
        if not isinstance(event, StepEnded) or event.step.action not in LIVE:
            return
        if event.result.state is StepState.DONE and event.result.target:
            server_id, target = event.step.subject_id, event.result.target
            self._asked[server_id] = self._pool.submit(self._ask, server_id, target)

    def blackouts(self) -> Mapping[str, Blackout]:
        return {key: asked.result() for key, asked in self._asked.items() if not asked.cancelled()}

    def _ask(self, server_id: str, target: str) -> Blackout:
        argv = ("env", "LC_ALL=C", "virsh", "--connect", "qemu:///system", "--readonly")
        ask = (*argv, "domjobinfo", server_id, "--completed", "--keep-completed")
        try:
            with self._shell(target) as shell:
                answer = shell.run(Command(ask, timeout=VIRSH_SECONDS))
        except NodeopsError as error:
            return Blackout(Way.LIBVIRT, None, error.message)
        if not answer.ok:
            return Blackout(Way.LIBVIRT, None, f"{target}: virsh: {answer.words}")
        return downtime(answer.stdout, target)


def downtime(text: str, target: str) -> Blackout:
    """What `virsh domjobinfo --completed` prints of a migration that is over."""
    found = _DOWNTIME.search(text)
    if found is None:
        return Blackout(Way.LIBVIRT, None, f"libvirt of {target} does not tell it")
    return Blackout(Way.LIBVIRT, int(found[1]) / 1000)


def ping_addresses(servers: Sequence[Server]) -> tuple[dict[str, str], dict[str, str]]:
    """Of each server the address to ping; and why there is none, in words.

    An address that several have, in networks of their own, may be anybody's here.
    """
    chosen = {server.id: server.addresses[0] for server in servers if server.addresses}
    often = Counter(chosen.values())
    words = {server.id: "it has no address" for server in servers if not server.addresses}
    words |= {key: f"several servers have {address}" for key, address in chosen.items() if often[address] > 1}
    return {key: address for key, address in chosen.items() if key not in words}, words
