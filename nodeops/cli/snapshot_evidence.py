"""What is looked at when an image is there: Nova's logs, its volume snapshots, images that are too many."""

from collections.abc import Iterator

from nodeops.cli.snapshot_orders import Bench, Item
from nodeops.model.snapshots import OF_RUN, Image, SnapshotView, SnapshotWorld
from nodeops.model.tracing import LogLine, Wanted
from nodeops.runbooks.snapshot import surplus

LOG_BEFORE = 60.0
"""Seconds that a log is read from before the request: clocks differ."""
AVAILABLE = "available"


def made_by(view: SnapshotView, server_id: str, run_id: str) -> str:
    """The image that a run has asked for, empty when there is none. Raises `ApiError`."""
    images = view.images_of(server_id)
    return next((image.id for image in images if image.properties.get(OF_RUN) == run_id), "")


def log_of(
    bench: Bench, item: Item, request_id: str, since: float
) -> tuple[tuple[LogLine, ...] | None, list[str]]:
    """What Nova's logs have of the request, None when nobody could look; and which were silent.

    Before volume snapshots it is the API that freezes (`nova/compute/api.py`, `snapshot_volume_backed`).
    """
    host = item.server.host
    where = bench.controllers if item.promise.volume_backed else (host,) if host else ()
    if bench.logs is None or not where or not request_id:
        return None, []
    wanted = Wanted((request_id,), since=since - LOG_BEFORE)
    with bench.turn:
        found = [bench.logs.search(each, wanted) for each in where]
    lines = sorted((line for each in found for line in each.lines), key=lambda line: line.at)
    return tuple(lines), [f"log of nova on {each.host}: {each.error}" for each in found if each.error]


def lost_volumes(view: SnapshotView, image: Image | None) -> str:
    """What is wrong with the volume snapshots of an image; empty when nothing is. Raises `ApiError`."""
    wanted = image.volume_snapshots if image else ()
    states = view.volume_snapshots(wanted)
    bad = [f"volume snapshot {each.id} is {each.status}" for each in states if each.status != AVAILABLE]
    missing = sorted(set(wanted) - {each.id for each in states})
    return ", ".join(bad + [f"volume snapshot {each} does not exist" for each in missing])


def prune(world: SnapshotWorld, server_id: str, keep: int) -> Iterator[Image]:
    """Delete what is too many, with its volume snapshots; each as it is gone. Raises `ApiError`."""
    for image in surplus(world.images_of(server_id), keep, server_id):
        world.delete_image(image.id)
        for each in image.volume_snapshots:
            world.delete_volume_snapshot(each)
        yield image
