"""Logical volumes on a disk, from LVM's own metadata: read without LVM, which would scan and write.

Layout of a physical volume: label sector, PV header with its areas, a metadata area whose header points at a
text (lvm2, lib/format_text/layout.h). Volumes of another host's group cannot clash with this host's, and
nothing is activated.
"""

from __future__ import annotations

import re
import struct
from typing import Any, BinaryIO, NamedTuple

SECTOR = 512
LABEL, KIND, AREA = b"LABELONE", b"LVM2 001", b"\x20LVM2\x20x[5A%r0N*>"
COMMA = ","
MOST_TEXT = 4 * 1024 * 1024
_TOKEN = re.compile(r'\s*(?:#[^\n]*\n|("(?:[^"\\]|\\.)*")|([\[\]{}=,])|([^\s\[\]{}=,"#]+))')


class Volume(NamedTuple):
    group: str
    name: str
    offset: int
    """Bytes from the beginning of the physical volume."""
    size: int
    trouble: str = ""
    """Why it cannot be looked into; empty when it can."""


def volumes(file: BinaryIO, begin: int) -> list[Volume]:
    """Those of the physical volume that begins there; empty when there is none."""
    found = _text(file, begin)
    if found is None:
        return []
    uuid, text = found
    return _volumes(parse(text), uuid)


def _text(file: BinaryIO, begin: int) -> tuple[str, str] | None:
    """The physical volume's id, and its group's metadata."""
    file.seek(begin)
    sectors = file.read(4 * SECTOR)
    for at in range(0, len(sectors), SECTOR):
        if sectors[at : at + 8] == LABEL and sectors[at + 24 : at + 32] == KIND:
            header = at + struct.unpack_from("<I", sectors, at + 20)[0]
            break
    else:
        return None
    raw = sectors[header : header + 32].decode("ascii", "replace")
    uuid = "-".join((raw[:6], *(raw[i : i + 4] for i in range(6, 26, 4)), raw[26:]))
    at = header + 40
    at = _after_list(sectors, at)
    offset, size = struct.unpack_from("<QQ", sectors, at)
    text = _area(file, begin + offset, size) if offset else None
    return None if text is None else (uuid, text)


def _after_list(sectors: bytes, at: int) -> int:
    while struct.unpack_from("<Q", sectors, at)[0]:
        at += 16
    return at + 16


def _area(file: BinaryIO, begin: int, size: int) -> str | None:
    """The newest text of a metadata area, which is a ring behind its first sector."""
    file.seek(begin)
    header = file.read(SECTOR)
    if header[4:20] != AREA:
        return None
    offset, length = struct.unpack_from("<QQ", header, 40)
    if not offset or not 0 < length <= MOST_TEXT:
        return None
    first = min(length, size - offset)
    file.seek(begin + offset)
    text = file.read(first)
    if first < length:
        file.seek(begin + SECTOR)
        text += file.read(length - first)
    return text.rstrip(b"\0").decode("utf-8", "replace")


def parse(text: str) -> dict[str, Any]:
    """LVM's configuration language: `name { … }`, `name = value`, lists, comments."""
    tokens, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            break
        at = match.end()
        token = match.group(1) or match.group(2) or match.group(3)
        if token:
            tokens.append(token)
    return _section(tokens, 0)[0]


def _section(tokens: list[str], at: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    while at + 1 < len(tokens) and tokens[at] != "}":
        name, sign = tokens[at], tokens[at + 1]
        if sign == "{":
            found[name], at = _section(tokens, at + 2)
        elif tokens[at + 2 : at + 3] == ["["]:
            end = tokens.index("]", at)
            found[name] = [_value(each) for each in tokens[at + 3 : end] if each != COMMA]
            at = end + 1
        else:
            found[name] = _value(tokens[at + 2]) if at + 2 < len(tokens) else ""
            at += 3
    return found, at + 1


def _value(token: str) -> Any:
    if token.startswith('"'):
        return token[1:-1]
    return int(token) if re.fullmatch(r"-?\d+", token) else token


def _volumes(document: dict[str, Any], uuid: str) -> list[Volume]:
    groups = [
        (name, body)
        for name, body in document.items()
        if isinstance(body, dict) and "physical_volumes" in body
    ]
    found = []
    for group, body in groups:
        extent = body["extent_size"] * SECTOR
        starts = {
            name: each["pe_start"] * SECTOR
            for name, each in body["physical_volumes"].items()
            if each.get("id") == uuid
        }
        for name, each in body.get("logical_volumes", {}).items():
            if "VISIBLE" in each.get("status", []):
                found.append(_volume(group, name, each, starts, extent))
    return found


def _volume(group: str, name: str, body: dict[str, Any], starts: dict[str, int], extent: int) -> Volume:
    """One run of extents on this disk, or why not."""
    segments = sorted(
        (each for key, each in body.items() if key.startswith("segment") and isinstance(each, dict)),
        key=lambda each: int(each["start_extent"]),
    )
    kinds = {each.get("type") for each in segments}
    if kinds != {"striped"} or any(each.get("stripe_count") != 1 for each in segments):
        return Volume(group, name, 0, 0, "is of type {}".format(", ".join(sorted(map(str, kinds)))))
    begin, size = None, 0
    for each in segments:
        device, first = each["stripes"]
        if device not in starts:
            return Volume(group, name, 0, 0, "lies on another disk too")
        at = starts[device] + first * extent
        begin = at if begin is None else begin
        if at != begin + size:
            return Volume(group, name, 0, 0, "is in several pieces")
        size += each["extent_count"] * extent
    return Volume(group, name, begin or 0, size)
