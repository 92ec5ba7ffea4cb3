"""What signs prove, and the verdict over them."""

from dataclasses import replace

import pytest

from nodeops.model.facts import Attachment, Host, Inquest, Life, NetworkAgent, Port, Sign
from nodeops.model.senses import Clues, Guests, Heard, HookWord, Power, PowerReading, Word
from nodeops.runbooks.inquest import conclude, next_command
from nodeops.runbooks.signs import FRESH, read_signs

NOW = 1_795_255_200.0
SEEN = {5: "2026-11-21T09:59:55", 50: "2026-11-21T09:59:10Z", 300: "2026-11-21T09:55:00.000000"}
"""Seconds before NOW, as Nova and Neutron write them."""
DOWN = Host("c01", "1", up=False, last_seen=SEEN[300])
UP = Host("c01", "1", last_seen=SEEN[5])
AGENT = NetworkAgent(
    "a", "Open vSwitch agent", "neutron-openvswitch-agent", "c01", alive=False, last_seen=SEEN[300]
)
SILENT = Heard(answered=False, words="no answer")
OFF, ON, UNKNOWN = (PowerReading(state, str(state)) for state in (Power.OFF, Power.ON, Power.UNKNOWN))
QUIET = Clues(
    "c01", NOW, DOWN, (AGENT,), (), (), (), (), SILENT, SILENT, Guests(None, "not asked: no answer"), None
)
"""Nobody hears anything of it."""


def life(clues: Clues) -> Life:
    return concluded(clues).life


def concluded(clues: Clues) -> Inquest:
    return conclude("c01", read_signs(clues), at=clues.at)


def sign(clues: Clues, source: str) -> Sign:
    return next(each for each in read_signs(clues) if each.source == source)


def test_silence_of_everything_proves_nothing() -> None:
    found = concluded(QUIET)
    assert found.life is Life.CANNOT_TELL
    assert "its servers may be running" in found.why


@pytest.mark.parametrize(
    "clue",
    [
        {"service": UP},
        {"agents": (replace(AGENT, alive=True, last_seen=SEEN[5]),)},
        {"ping": Heard(answered=True, words="answers")},
        {"ssh": Heard(answered=True, words="does not let us in")},
        {"guests": Guests(("a",), "1 of 1 guests run")},
        {"hook": HookWord(Word.ALIVE, "watchdog fed")},
    ],
    ids=lambda clue: next(iter(clue)),
)
def test_anything_that_proves_life_makes_it_alive(clue: dict[str, object]) -> None:
    assert life(replace(QUIET, **clue)) is Life.ALIVE  # type: ignore[arg-type]  # a field of Clues


@pytest.mark.parametrize(
    ("powers", "expected"),
    [
        ((OFF, OFF), Life.DEAD),
        ((OFF,), Life.CANNOT_TELL),
        ((OFF, ON), Life.CANNOT_TELL),
        ((OFF, UNKNOWN), Life.CANNOT_TELL),
        ((ON,), Life.CANNOT_TELL),
        ((UNKNOWN,), Life.CANNOT_TELL),
        ((), Life.CANNOT_TELL),
        (None, Life.CANNOT_TELL),
    ],
)
def test_only_power_seen_off_twice_proves_death(
    powers: tuple[PowerReading, ...] | None, expected: Life
) -> None:
    assert life(replace(QUIET, powers=powers)) is expected


def test_the_site_s_word_proves_death_too() -> None:
    assert life(replace(QUIET, hook=HookWord(Word.DEAD, "rack 7 burnt"))) is Life.DEAD
    assert life(replace(QUIET, hook=HookWord(Word.CANNOT_TELL, "?"))) is Life.CANNOT_TELL


def test_signs_that_contradict_each_other_prove_nothing() -> None:
    found = concluded(replace(QUIET, powers=(OFF, OFF), ping=Heard(answered=True, words="answers")))
    assert found.life is Life.CANNOT_TELL
    assert "contradict" in found.why
    assert "power: off" in found.why
    assert "ping: answers" in found.why


def test_a_fresh_heartbeat_speaks_against_power_that_is_off_and_an_old_one_does_not() -> None:
    off = replace(QUIET, powers=(OFF, OFF))
    assert life(replace(off, service=UP)) is Life.CANNOT_TELL
    assert life(replace(off, service=replace(UP, last_seen=SEEN[50]))) is Life.DEAD
    late = replace(AGENT, alive=True, last_seen=SEEN[50])
    assert life(replace(off, agents=(late,))) is Life.DEAD
    assert 5 < FRESH < 50


def test_a_late_heartbeat_alone_proves_that_it_lived_and_no_more() -> None:
    late = replace(QUIET, service=replace(UP, last_seen=SEEN[50]))
    assert life(late) is Life.CANNOT_TELL
    assert "it lived then" in sign(late, "nova-compute").proves


def test_forced_down_is_no_sign_of_death() -> None:
    forced = sign(replace(QUIET, service=replace(DOWN, forced_down=True)), "nova-compute")
    assert forced.life is Life.CANNOT_TELL
    assert "fences nothing" in forced.proves


def test_another_machine_at_its_address_proves_nothing() -> None:
    stranger = replace(QUIET, ssh=Heard(answered=False, words="its key changed", stranger=True))
    assert life(stranger) is Life.CANNOT_TELL
    assert "another machine" in sign(stranger, "ssh").proves


def test_records_of_ports_and_volumes_are_shown_and_prove_nothing() -> None:
    port = Port("p", "s", "c01", "ACTIVE", "ovs")
    held = replace(
        QUIET,
        ports=(port, replace(port, id="q", status="DOWN"), replace(port, id="r", host="c02")),
        attachments=(
            Attachment("a", "v", "s", "attached", "c01"),
            Attachment("b", "w", "s", "attached", "c02"),
        ),
    )
    assert sign(held, "ports").words == "1 of 2 active there"
    assert sign(held, "volumes").words == "1 attached there"
    assert life(held) is Life.CANNOT_TELL


def test_what_did_not_answer_is_said_with_its_reason() -> None:
    clues = Clues("c01", NOW, DOWN, silent={"power": "no answer within 15 s", "ping": "no ping"})
    words = {each.source: each.words for each in read_signs(clues)}
    assert words["power"] == "no answer within 15 s"
    assert words["ping"] == "no ping"
    assert words["network-agent"] == "was not asked"
    assert life(clues) is Life.CANNOT_TELL


@pytest.mark.parametrize(
    ("found", "can_fence", "words"),
    [
        (Life.DEAD, False, "nodeops failover c01 --dry-run"),
        (Life.ALIVE, True, "nodeops drain c01"),
        (Life.CANNOT_TELL, True, "nodeops inquest c01 --fence"),
        (Life.CANNOT_TELL, False, "--fenced-by"),
    ],
)
def test_the_next_command(found: Life, words: str, *, can_fence: bool) -> None:
    assert words in next_command(Inquest("c01", found, "", ()), can_fence=can_fence)
