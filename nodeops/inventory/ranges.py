"""Host patterns of an inventory line: `c[01:12]`, `c[a:d]`, `c[01:10:2].example.org:2222`.

Behaviour: ansible-core 2.19, `parsing/utils/addresses.py` and `plugins/inventory/__init__.py`.
Everything here raises `ValueError` with words for the operator.
"""

import re
from collections.abc import Sequence
from ipaddress import AddressValueError, IPv6Address
from string import ascii_letters

MOST_HOSTS = 100_000
"""In one pattern; more is a slip of the finger."""
MOST_RANGES = 20
_RANGE = r"\[(?:[a-z]:[a-z]|[0-9]+:[0-9]+)(?::[0-9]+)?\]"
_HEX_RANGE = re.compile(r"\[[0-9a-f]+:[0-9a-f]+(?::[0-9]+)?\]", re.IGNORECASE)
_LABEL = rf"(?:\w|{_RANGE})(?:[\w-]|{_RANGE})*(?<![_-])"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.IGNORECASE)
_BRACKETED_PORT = re.compile(r"\[(.+)\]:([0-9]+)")
_PORT = re.compile(r"((?:[^:\[\]]|\[[^\]]*\])*):([0-9]+)")
_FIRST_RANGE = re.compile(r"([^\[]*)\[([^\]]*)\](.*)", re.DOTALL)


def hosts_of(pattern: str) -> tuple[list[str], int | None]:
    """Every host name a pattern stands for, and the port written behind it."""
    if pattern.count("[") > MOST_RANGES:
        raise ValueError(f"a pattern has more than {MOST_RANGES} ranges")
    name, port = _without_port(pattern)
    if pattern.endswith(":") and port is None:
        raise ValueError(f"{pattern!r} ends in ':', which must be followed by a port")
    names = expand(name)
    if "---" in names:
        raise ValueError("'---' begins a YAML file, and this is read as INI")
    if "" in names:
        raise ValueError("a host has no name")
    return names, port


def _without_port(pattern: str) -> tuple[str, int | None]:
    found = _BRACKETED_PORT.fullmatch(pattern) or _PORT.fullmatch(pattern)
    if found and _is_address(found[1]):
        return found[1], int(found[2])
    return pattern, None


def _is_address(text: str) -> bool:
    if _HOST_NAME.fullmatch(text):
        return True
    try:
        IPv6Address(_HEX_RANGE.sub("1", text))
    except AddressValueError:
        return False
    return True


def expand(pattern: str) -> list[str]:
    """The names of a pattern, the leftmost range changing slowest."""
    if "[" not in pattern:
        return [pattern]
    found = _FIRST_RANGE.fullmatch(pattern)
    if not found:
        raise ValueError(f"{pattern!r} has a '[' without its ']'")
    head, written, tail = found.groups()
    items, tails = _items(written), expand(tail)
    if len(items) * len(tails) > MOST_HOSTS:
        raise ValueError(f"{pattern!r} names more than {MOST_HOSTS} hosts")
    return [f"{head}{item}{rest}" for item in items for rest in tails]


def _items(written: str) -> Sequence[str]:
    bounds = written.split(":")
    if len(bounds) not in {2, 3}:
        raise ValueError(f"range [{written}] must be [begin:end] or [begin:end:step]")
    begin, end = bounds[0] or "0", bounds[1]
    if not end:
        raise ValueError(f"range [{written}] has no end")
    step = _number(bounds[2], written) if len(bounds) > 2 else 1  # noqa: PLR2004 - begin, end, step
    if step == 0:
        raise ValueError(f"range [{written}] has a step of 0")
    width = len(begin) if begin.startswith("0") and len(begin) > 1 else 0
    if width and width != len(end):
        raise ValueError(
            f"range [{written}] begins with zeros, so both ends must have the same number of digits"
        )
    if _letter(begin) and _letter(end):
        return _letters(begin, end, step, written)
    numbers = range(_number(begin, written), _number(end, written) + 1, step)
    if len(numbers) > MOST_HOSTS:
        raise ValueError(f"range [{written}] names more than {MOST_HOSTS} hosts")
    return [str(number).zfill(width) for number in numbers]


def _letters(begin: str, end: str, step: int, written: str) -> list[str]:
    first, last = ascii_letters.index(begin), ascii_letters.index(end)
    if first > last:
        raise ValueError(f"range [{written}] ends before it begins")
    return list(ascii_letters[first : last + 1 : step])


def _letter(text: str) -> bool:
    return len(text) == 1 and text in ascii_letters


def _number(text: str, written: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"range [{written}] is made of neither numbers nor single letters") from None
