"""What each clue proves of a host's life, and what it does not. Pure."""

from collections.abc import Iterator

from nodeops.model.facts import Life, NetworkAgent, Sign
from nodeops.model.senses import Clues, Heard, Power, Word
from nodeops.model.states import moment

FRESH = 40.0
"""Seconds: an interval of Neutron's agents, which is 30 s, and some; nova-compute's is 10 s. What was heard
longer ago proves that the host lived then, although Nova still calls it up (60 s), Neutron alive (75 s)."""
TWICE = 2
MINUTE, HOUR, DAY = 60, 3600, 86_400


def read_signs(clues: Clues) -> tuple[Sign, ...]:
    """One or more for each source, in the order in which they weigh."""
    return (
        _power(clues),
        _hook(clues),
        _service(clues),
        *_agents(clues),
        _libvirt(clues),
        _heard("ssh", clues.ssh, clues),
        _heard("ping", clues.ping, clues),
        _ports(clues),
        _volumes(clues),
    )


def is_off(clues: Clues) -> bool:
    """Whether the power was seen off as often as it takes."""
    powers = clues.powers or ()
    return len(powers) >= TWICE and all(each.state is Power.OFF for each in powers)


def _power(clues: Clues) -> Sign:
    if clues.powers is None:
        return _no_answer("power", clues)
    if not clues.powers:
        return Sign("power", Life.CANNOT_TELL, "no fence command is configured", "nothing")
    last = clues.powers[-1]
    if is_off(clues):
        return Sign(
            "power", Life.DEAD, f"off, seen {len(clues.powers)} times", "nothing runs on a host without power"
        )
    if any(each.state is Power.OFF for each in clues.powers):
        return Sign("power", Life.CANNOT_TELL, f"off once, then {last.words}", "it changes: nothing yet")
    if last.state is Power.ON:
        return Sign("power", Life.CANNOT_TELL, "on", "guests can be running; not that they do")
    return Sign("power", Life.CANNOT_TELL, last.words, "nothing: it was not understood or did not answer")


def _hook(clues: Clues) -> Sign:
    if "hook" in clues.silent:
        return _no_answer("hook", clues)
    if clues.hook is None:
        return Sign("hook", Life.CANNOT_TELL, "none is configured", "nothing")
    if clues.hook.word is Word.ALIVE:
        return Sign("hook", Life.ALIVE, clues.hook.words, "the site's own command says that it lives")
    if clues.hook.word is Word.DEAD:
        return Sign("hook", Life.DEAD, clues.hook.words, "the site's own command says that it is dead")
    return Sign("hook", Life.CANNOT_TELL, clues.hook.words, "nothing")


def _service(clues: Clues) -> Sign:
    host = clues.service
    if host is None:
        return _no_answer("nova-compute", clues)
    age = _age(host.last_seen, clues.at)
    seen = f"last record {_ago(age)}" if age is not None else "was never seen"
    if host.forced_down:
        proves = "nothing: forced down is a word in nova's records, and fences nothing"
        return Sign("nova-compute", Life.CANNOT_TELL, f"forced down, {seen}", proves)
    if not host.up:
        proves = "it cannot tell nova that it lives; its guests may run on without it"
        return Sign("nova-compute", Life.CANNOT_TELL, f"down, {seen}", proves)
    return _heartbeat("nova-compute", f"up, {seen}", age, clues)


def _agents(clues: Clues) -> Iterator[Sign]:
    if clues.agents is None:
        yield _no_answer("network-agent", clues)
        return
    if not clues.agents:
        yield Sign("network-agent", Life.CANNOT_TELL, "neutron knows none there", "nothing")
    for agent in clues.agents:
        yield _agent(agent, clues)


def _agent(agent: NetworkAgent, clues: Clues) -> Sign:
    age = _age(agent.last_seen, clues.at)
    seen = f"heard {_ago(age)}" if age is not None else "was never heard"
    if agent.alive:
        return _heartbeat("network-agent", f"{agent.type} alive, {seen}", age, clues)
    proves = "it cannot tell neutron that it lives; guests run without it"
    return Sign("network-agent", Life.CANNOT_TELL, f"{agent.type} silent, {seen}", proves)


def _heartbeat(source: str, words: str, age: float | None, clues: Clues) -> Sign:
    """Nova and Neutron call alive what reported within the last minute or so."""
    if age is not None and age >= FRESH:
        return Sign(source, Life.CANNOT_TELL, words, f"it lived then; nothing was heard for {round(age)} s")
    if is_off(clues):
        proves = "it lived a moment ago, or the power is of another machine: look again in a minute"
        return Sign(source, Life.ALIVE, words, proves)
    return Sign(source, Life.ALIVE, words, "the host lived when it reported")


def _libvirt(clues: Clues) -> Sign:
    if "libvirt" in clues.silent:
        return _no_answer("libvirt", clues)
    if clues.guests is None:
        return Sign("libvirt", Life.CANNOT_TELL, "not asked: it needs a login", "nothing")
    if clues.guests.running is None:
        return Sign("libvirt", Life.CANNOT_TELL, clues.guests.words, "nothing")
    return Sign("libvirt", Life.ALIVE, clues.guests.words, "the host lives, and these are the guests it runs")


def _heard(source: str, heard: Heard | None, clues: Clues) -> Sign:
    if heard is None:
        return _no_answer(source, clues)
    if heard.stranger:
        return Sign(source, Life.CANNOT_TELL, heard.words, "another machine answers at its address")
    if heard.answered:
        return Sign(source, Life.ALIVE, heard.words, "something at its address lives")
    return Sign(source, Life.CANNOT_TELL, heard.words, "silence proves nothing: the way there may be cut")


def _ports(clues: Clues) -> Sign:
    if clues.ports is None:
        return _no_answer("ports", clues)
    active = sum(port.status == "ACTIVE" and port.host == clues.host for port in clues.ports)
    bound = sum(port.host == clues.host for port in clues.ports)
    words = f"{active} of {bound} active there" if bound else "none bound there"
    return Sign(
        "ports", Life.CANNOT_TELL, words, "nothing: neutron's records stay as they are when a host dies"
    )


def _volumes(clues: Clues) -> Sign:
    if clues.attachments is None:
        return _no_answer("volumes", clues)
    held = {each.volume_id for each in clues.attachments if each.host in {None, clues.host}}
    words = f"{len(held)} attached there" if held else "none attached there"
    proves = "nothing; if it lives, guests write to them" if held else "nothing"
    return Sign("volumes", Life.CANNOT_TELL, words, proves)


def _no_answer(source: str, clues: Clues) -> Sign:
    return Sign(source, Life.CANNOT_TELL, clues.silent.get(source, "was not asked"), "nothing")


def _age(text: str, now: float) -> float | None:
    seen = moment(text)
    return max(0.0, now - seen) if seen else None


def _ago(seconds: float | None) -> str:
    whole = round(seconds or 0.0)
    for size, word in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if whole >= 2 * size:
            return f"{whole // size} {word} ago"
    return f"{whole} s ago"
