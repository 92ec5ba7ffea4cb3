"""Fence commands, run as real programs."""

import time
from pathlib import Path

import pytest

from nodeops.clients.power import FenceCommand, filled, run, understood
from nodeops.errors import ApiError, ConfigurationError
from nodeops.model.senses import Power, PowerAction


def program(folder: Path, body: str, name: str = "bmc") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def fence(command: str, status: str = "") -> FenceCommand:
    return FenceCommand("c01", "192.0.2.1", command, status)


@pytest.mark.parametrize(
    ("code", "out", "expected"),
    [
        (0, "Chassis Power is on\n", Power.ON),
        (0, "Chassis Power is off\n", Power.OFF),
        (0, "Status: ON\n", Power.ON),
        (2, "Status: OFF\n", Power.OFF),
        (0, "power is off\n", Power.OFF),
        (0, "off\n", Power.OFF),
        (0, '{"Id": "1", "PowerState": "Off"}', Power.OFF),
        (0, '{"PowerState": "On"}', Power.ON),
        (0, '{"PowerState": "PoweringOff"}', Power.UNKNOWN),
        (0, '{"PowerState": null}', Power.UNKNOWN),
        (0, '{"error": "off"}', Power.UNKNOWN),
        (0, "{broken", Power.UNKNOWN),
        (0, "", Power.UNKNOWN),
        (0, "Chassis Power Control: Down/Off\n", Power.UNKNOWN),
        (0, "power is on\npower is off\n", Power.UNKNOWN),
        (2, "", Power.UNKNOWN),
        (2, "usage: fence [-h]\n", Power.UNKNOWN),
        (2, "Status: ON\n", Power.UNKNOWN),
        (1, "Chassis Power is off\n", Power.UNKNOWN),
        (127, "off\n", Power.UNKNOWN),
    ],
)
def test_only_plain_words_are_believed(code: int, out: str, expected: Power) -> None:
    assert understood(code, out) is expected


def test_place_holders_are_filled_in_and_stay_one_word(tmp_path: Path) -> None:
    assert filled("bmc -H {host}-bmc 'a {action}'", host="c 01;x", action="off") == [
        "bmc",
        "-H",
        "c 01;x-bmc",
        "a off",
    ]
    bmc = program(tmp_path, f'echo "$@" >>{tmp_path}/said; echo "power is on"')
    command = fence(f"{bmc} {{host}} {{address}} {{action}}")
    assert command.reading().state is Power.ON
    command.switch(PowerAction.OFF)
    assert (tmp_path / "said").read_text() == "c01 192.0.2.1 status\nc01 192.0.2.1 off\n"


def test_a_command_without_action_only_powers_off_and_is_never_asked(tmp_path: Path) -> None:
    bmc = program(tmp_path, f"touch {tmp_path}/ran")
    command = fence(f"{bmc} power off")
    reading = command.reading()
    assert reading.state is Power.UNKNOWN
    assert "{action}" in reading.words
    assert not (tmp_path / "ran").exists()
    with pytest.raises(ConfigurationError, match="can power it on"):
        command.switch(PowerAction.ON)
    command.switch(PowerAction.OFF)
    assert (tmp_path / "ran").exists()


def test_a_command_of_its_own_asks_for_the_state(tmp_path: Path) -> None:
    ask = program(tmp_path, """echo '{"PowerState": "Off"}'""", "ask")
    assert fence("/nowhere/off", f"{ask} {{host}}").reading().state is Power.OFF


def test_a_command_that_hangs_is_killed_with_what_it_started(tmp_path: Path) -> None:
    bmc = program(tmp_path, f"sleep 300 & echo $! >{tmp_path}/pid; wait")
    begun = time.monotonic()
    reading = fence(f"{bmc} {{action}}").reading(seconds=1.0)
    assert time.monotonic() - begun < 30
    assert reading.words == "bmc did not answer within 1 s"
    child = Path("/proc", (tmp_path / "pid").read_text().strip(), "stat")
    deadline = time.monotonic() + 10
    while child.exists() and child.read_text().split()[2] != "Z":
        assert time.monotonic() < deadline, "it still runs"
        time.sleep(0.05)


def test_a_switch_that_hangs_may_have_taken_effect(tmp_path: Path) -> None:
    bmc = program(tmp_path, "sleep 300")
    with pytest.raises(ApiError) as raised:
        fence(f"{bmc} {{action}}").switch(PowerAction.OFF, seconds=0.5)
    assert raised.value.ambiguous


def test_a_switch_that_fails_says_why(tmp_path: Path) -> None:
    bmc = program(tmp_path, "echo 'Unable to establish session' >&2; exit 1")
    with pytest.raises(ApiError, match="bmc ended with 1: Unable to establish session") as raised:
        fence(f"{bmc} {{action}}").switch(PowerAction.OFF)
    assert not raised.value.ambiguous


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    command = fence(f"{tmp_path}/none {{action}}")
    assert command.reading().words == "none: no such file or directory"
    with pytest.raises(ConfigurationError, match="none: no such file"):
        command.switch(PowerAction.OFF)


def test_what_a_command_says_is_shown_without_secrets_and_bounded(tmp_path: Path) -> None:
    bmc = program(tmp_path, "echo password=hunter22 >&2; exit 1")
    assert "hunter22" not in fence(f"{bmc} {{action}}").reading().words
    long = program(tmp_path, "head -c 5000000 /dev/zero | tr '\\\\0' x; exit 1", "long")
    ended = run([str(long)], 30.0)
    assert len(ended.out) <= 65536
    assert len(ended.words) <= 160
