"""An inquest from the desk: ask, conclude, show."""

from nodeops.cli.desk import Desk
from nodeops.cli.output import Format
from nodeops.cli.showing import Shown, show
from nodeops.errors import CannotTellError, HostLivesError, NodeopsError
from nodeops.gather.inquest import gather_clues
from nodeops.model.facts import Inquest, Life
from nodeops.model.senses import SOURCES
from nodeops.report.inquest_view import inquest_document, inquest_lines, inquest_markdown
from nodeops.runbooks.inquest import conclude, next_command
from nodeops.runbooks.signs import read_signs


def inquire(desk: Desk, host: str, *, quiet: bool = False) -> Inquest:
    """Whether the host is dead, by all that can be asked now; told on stderr as it is asked, unless `quiet`.

    Raises `UnknownHostError` and `ApiError` when Nova does not know the host or does not answer.
    """
    err = desk.err()

    def told(source: str, why_not: str) -> None:
        if not quiet:
            err.print(f"  {SOURCES.get(source, source)}: {why_not or 'asked'}", soft_wrap=True)

    if not quiet:
        err.print(f"{host}: asking the cloud, its power, its address and the host itself", soft_wrap=True)
    clues = gather_clues(desk.world(), desk.senses(), host, desk.now, told=told, patience=desk.patience())
    return conclude(host, read_signs(clues), at=clues.at)


def show_inquest(desk: Desk, inquest: Inquest, output: Format) -> None:
    """The result, and the verdict as an ending.

    Raises `HostLivesError` or `CannotTellError`; returns for a host that is dead.
    """
    error = ending(desk, inquest)
    code = error.exit_code if error else 0
    following = following_words(desk, inquest)
    shown = Shown(
        lambda: inquest_document(inquest, exit_code=code, following=following),
        lambda: inquest_markdown(inquest, following),
        lambda _width: (*inquest_lines(inquest), *(() if error else (following,))),
    )
    show(desk, output, shown)
    if error:
        raise error


def ending(desk: Desk, inquest: Inquest) -> NodeopsError | None:
    """None for a host that is dead."""
    if inquest.life is Life.DEAD:
        return None
    kind = HostLivesError if inquest.life is Life.ALIVE else CannotTellError
    return kind(f"{inquest.host}: {inquest.life}", hint=following_words(desk, inquest))


def following_words(desk: Desk, inquest: Inquest) -> str:
    place = desk.inventory().place(inquest.host)
    return next_command(inquest, can_fence=place is not None and place.fence_command is not None)
