"""What `nodeops watch` does: look, tell, and end when it is time to."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from rich.live import Live
from rich.text import Text

from nodeops.cli.desk import Desk
from nodeops.cli.exit_codes import exit_code
from nodeops.cli.output import error_value, stream_line
from nodeops.engine.clock import Clock
from nodeops.engine.signals import Stop
from nodeops.errors import (
    ApiError,
    ErrorStateError,
    GoneError,
    InterruptedRunError,
    NodeopsError,
    TimedOutError,
    UnsupportedError,
)
from nodeops.gather import find_host
from nodeops.model.following import Sighting, StatesView
from nodeops.model.tracking import Change, Condition, Following, Track
from nodeops.report import watch_view
from nodeops.report.figures import count, duration

MANY, NAMES = 8, 3
"""More servers than this are a table on a terminal; up to so many are named."""
OVERLAP = 20.0
"""Seconds that a look reaches back: the clocks of the cloud's hosts differ, and a change is stored late."""
WHOLE = 30
"""Looks after which everything since the beginning is asked for: clocks may differ by more."""
FEW_MOVES = 3
"""Up to so many moves are asked for their bytes when Nova's list tells no percentage."""
PROGRESS_SECONDS = 5.0
"""Nova writes progress down no more often."""
LINK_SECONDS = 600.0
"""How long the cloud may not answer before the watch is given up."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for."""

    words: tuple[str, ...] = ()
    host: str | None = None
    until: tuple[Condition, ...] = ()
    timeout: float | None = None
    interval: float = 1.0
    every: bool = False
    json: bool = False

    @property
    def until_words(self) -> str:
        return " and ".join(each.text for each in self.until)


def watch_servers(desk: Desk, wish: Wish) -> None:
    """Follow them; raises the error that says how it ended, unless the conditions were reached."""
    from nodeops.clients.server_states import ServerStates

    cloud = desk.cloud()
    if wish.host is not None:
        find_host(wish.host, cloud.hosts())
    with Stop().listening() as stop:
        Watcher(desk, wish, ServerStates(cloud), desk.clock(stop), stop).run()


@dataclass
class Watcher:
    desk: Desk
    wish: Wish
    view: StatesView
    clock: Clock
    stop: Stop
    following: Following = field(init=False)
    live: bool = field(default=False, init=False)
    _began: float = field(default=0.0, init=False)
    _last: float = field(default=0.0, init=False)
    """The cloud's time of the last answered look."""
    _first: float = field(default=0.0, init=False)
    _looks: int = field(default=0, init=False)
    _blind_since: float | None = field(default=None, init=False)
    _progress_at: float = field(default=0.0, init=False)

    def run(self) -> None:
        """Raises `NodeopsError` for every end but reaching the conditions."""
        self.following = Following(self.wish.host)
        self._out = self.desk.out()
        self._began = self.clock.now()
        self._first = self._last = self.view.now()
        seen = self.view.named(self.wish.words) if self.wish.host is None else self.view.on(self.wish.host)
        changes = self.following.begin(seen, self.clock.now())
        self.live = self._out.is_terminal and not (self.wish.json or self.wish.every) and len(seen) > MANY
        error: NodeopsError | None
        with self._picture():
            if not self.live:
                self._tell(changes)
            error = self._loop(changes)
        self._end(error)
        if error is not None:
            raise error

    def _loop(self, changes: list[Change]) -> NodeopsError | None:
        """Look until it is over; how it ended, None when well."""
        while True:
            over, error = self._ending(changes)
            if over:
                return error
            self.clock.sleep(self._pause())
            if self.stop.asked:
                continue
            try:
                changes = self._look()
            except (ApiError, UnsupportedError) as trouble:
                changes = []
                if isinstance(trouble, UnsupportedError) or self._blind(trouble):
                    return trouble
                continue
            self._blind_since = None
            self._tell(changes)
            self._progress()

    def _pause(self) -> float:
        left = self.wish.interval
        if self.wish.timeout is not None:
            left = min(left, self._began + self.wish.timeout - self.clock.now())
        return max(left, 0.05)

    # -- looking

    def _look(self) -> list[Change]:
        """One list call for all of them."""
        self._looks += 1
        asked = self.view.now()
        since = self._first if self._looks % WHOLE == 0 else self._last
        seen = self.view.changed(since - OVERLAP)
        self._last = asked
        return self.following.see(seen, self.clock.now())

    def _blind(self, trouble: ApiError) -> bool:
        """Whether it has been too long."""
        now = self.clock.now()
        if self._blind_since is None:
            self._blind_since = now
            self.desk.err().print(f"cannot look: {trouble.message}", soft_wrap=True)
        return now - self._blind_since >= LINK_SECONDS

    def _progress(self) -> None:
        """Words on how far things are, where that costs little."""
        now = self.clock.now()
        for track in self.following.alive():
            percent = track.sighting.percent
            self._say(track, f"{percent} % done" if percent is not None else "", now)
        if now - self._progress_at < PROGRESS_SECONDS:
            return
        self._progress_at = now
        try:
            self._moves(now)
            self._images(now)
        except (ApiError, UnsupportedError):
            # What is only told in passing is no reason to end.
            return

    def _moves(self, now: float) -> None:
        moving = [
            track
            for track in self.following.alive()
            if track.sighting.server.task_state == "migrating" and track.sighting.percent is None
        ]
        for track in moving if len(moving) <= FEW_MOVES else ():
            percent = self.view.percent(track.sighting.server.id)
            if percent is not None:
                self._say(track, f"{percent} % copied", now)

    def _images(self, now: float) -> None:
        imaged = [
            track
            for track in self.following.alive()
            if (track.sighting.server.task_state or "").startswith(("image_", "shelving_image_"))
        ]
        if not imaged:
            return
        images = {image.server_id: image for image in self.view.images()}
        for track in imaged:
            image = images.get(track.sighting.server.id)
            if image is not None:
                self._say(track, f"image {image.name} is {image.status}", now)

    # -- telling

    def _tell(self, changes: list[Change]) -> None:
        now = self.clock.now()
        for change in changes:
            if self.wish.json:
                stream_line(watch_view.change_document(change))
            elif not (self.wish.every and change.sighting.gone is False):
                self._print(watch_view.change_line(change, self._width))
        if self.wish.every:
            for track in self.following.alive():
                self._poll(track.sighting, now)

    def _poll(self, sighting: Sighting, now: float) -> None:
        if self.wish.json:
            stream_line(watch_view.sighting_document("poll", sighting, now))
        else:
            self._print(watch_view.poll_line(sighting, now, self._width))

    def _say(self, track: Track, words: str, now: float) -> None:
        """A line when the words are new; none is told of nothing."""
        if not words or words == track.words:
            return
        track.words = words
        if self.wish.json:
            stream_line(watch_view.sighting_document("progress", track.sighting, now, words=words))
        elif not self.live:
            self._print(watch_view.words_line(track.sighting.server.name, words, now, self._width))

    def _print(self, text: Text) -> None:
        self._out.print(text, soft_wrap=True)

    @property
    def _width(self) -> int:
        return max((len(track.sighting.server.name) for track in self.following.tracks.values()), default=0)

    def _picture(self) -> AbstractContextManager[Any]:
        if not self.live:
            return nullcontext()
        renderable: Callable[[], Any] = lambda: watch_view.Picture(  # noqa: E731 - rich takes a callable
            self.following.by_name(), self.clock.now(), self.wish.until_words
        )
        return Live(console=self._out, get_renderable=renderable, refresh_per_second=2, transient=True)

    # -- the end

    def _ending(self, changes: list[Change]) -> tuple[bool, NodeopsError | None]:
        """Whether it is over, and the error it ends with."""
        if self.wish.until and not self.following.failing(self.wish.until):
            return True, None
        if self.stop.number is not None:
            return True, InterruptedRunError("watch ended by a signal", signal_number=self.stop.number)
        error: NodeopsError | None = self._gone() or (_went_into_error(changes) if self.wish.until else None)
        late = self.wish.timeout is not None and self.clock.now() - self._began >= self.wish.timeout
        if error is None and late:
            error = self._timed_out()
        return error is not None, error

    def _gone(self) -> GoneError | None:
        """Servers that cannot reach it any more, or nothing left to watch."""
        failing = self.following.failing(self.wish.until) if self.wish.until else []
        gone = [track for track in failing if track.sighting.gone]
        if gone:
            return GoneError(f"server {_named(gone)}: gone before {self.wish.until_words}")
        if self.wish.host is None and not self.following.alive():
            return GoneError(f"server {_named(self.following.gone())}: gone")
        return None

    def _timed_out(self) -> TimedOutError:
        after = duration(self.wish.timeout or 0)
        failing = self.following.failing(self.wish.until)
        words = f"not {self.wish.until_words}: {_named(failing)}" if self.wish.until else "watch is over"
        return TimedOutError(f"{words} after {after}")

    def _end(self, error: NodeopsError | None) -> None:
        now = self.clock.now()
        tracks = self.following.by_name()
        if self.wish.json:
            end = {
                "event": "end",
                "at": watch_view.moment(now),
                "exit_code": exit_code(error) if error else 0,
                "error": error_value(error) if error else None,
                "servers": watch_view.timeline_document(tracks, now),
            }
            stream_line(end)
        elif tracks:
            self._out.print()
            self._out.print(watch_view.timeline_table(tracks, now))
        elif not error:
            self._print(Text(f"{self.wish.host}: no server to watch"))


def _went_into_error(changes: list[Change]) -> ErrorStateError | None:
    for change in changes:
        server = change.sighting.server
        if server.vm_state == "error" and "vm_state" in change.before and not change.first:
            fault = f": {server.fault.message.rstrip('.')}" if server.fault else ""
            return ErrorStateError(
                f"server {server.name} ({server.id}) went into ERROR{fault}",
                hint=f"openstack server event list {server.id} tells what was asked of it.",
            )
    return None


def _named(tracks: list[Track]) -> str:
    names = [f"{track.sighting.server.name} ({track.sighting.server.id})" for track in tracks[:NAMES]]
    more = f" and {count(len(tracks) - NAMES, 'other')}" if len(tracks) > NAMES else ""
    return ", ".join(names) + more
