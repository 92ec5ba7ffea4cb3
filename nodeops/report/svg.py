"""Pictures of the views, for the docs."""

import io
import re

from rich.console import RenderableType
from rich.terminal_theme import TerminalTheme

from nodeops.report.console import console, line

WIDTH = 92
CALM = TerminalTheme(
    (24, 26, 31),
    (212, 215, 220),
    [
        (24, 26, 31),
        (224, 108, 117),
        (138, 190, 120),
        (222, 184, 110),
        (110, 160, 215),
        (180, 140, 200),
        (105, 185, 195),
        (212, 215, 220),
    ],
)
_REMOTE_FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
"""A picture must not make its reader's browser call anyone; the figures hold in any monospaced font."""


def svg(view: RenderableType, *, command: str, identity: str) -> str:
    """The view below the command that shows it; the same view gives the same bytes."""
    out = console(io.StringIO(), colour="always", width=WIDTH)
    out.record = True
    out.print(line(("$ ", "good"), (command, "head")))
    out.print()
    out.print(view)
    picture = out.export_svg(title="nodeops", theme=CALM, unique_id=f"nodeops-{identity}")
    # Some renderers drop the spaces at the ends of a piece of text, hard ones too, unless told not to.
    picture = picture.replace("<svg ", '<svg xml:space="preserve" ', 1)
    return _REMOTE_FONTS.sub("", picture)
