"""Whether a host is dead: a verdict over signs, by rules that err towards "cannot tell".

Pure. Silence proves nothing: a host that is cut off from the controllers is silent, and its guests run. So a
host is DEAD only by something that proves death, ALIVE by anything that proves life, and when both are there,
or neither, nobody can tell.
"""

from collections.abc import Sequence

from nodeops.model.facts import Inquest, Life, Sign
from nodeops.model.senses import SOURCES

RUNNING = "its servers may be running"


def conclude(host: str, signs: Sequence[Sign], *, at: float = 0.0) -> Inquest:
    """The verdict; `at` is when the signs were seen, in seconds since the epoch."""
    alive = [sign for sign in signs if sign.life is Life.ALIVE]
    dead = [sign for sign in signs if sign.life is Life.DEAD]
    if alive and dead:
        return _inquest(
            host, Life.CANNOT_TELL, f"the signs contradict each other: {_words(*dead, *alive)}", signs, at
        )
    if alive:
        return _inquest(host, Life.ALIVE, _words(*alive), signs, at)
    if dead:
        return _inquest(host, Life.DEAD, _words(*dead), signs, at)
    return _inquest(host, Life.CANNOT_TELL, f"nothing proves life or death, and {RUNNING}", signs, at)


def next_command(inquest: Inquest, *, can_fence: bool) -> str:
    """What to do with the verdict, as a sentence for a hint."""
    host = inquest.host
    if inquest.life is Life.DEAD:
        return f"nodeops failover {host} --dry-run shows what can be saved."
    if inquest.life is Life.ALIVE:
        return f"Repair it, or empty it while it lives: nodeops drain {host}."
    if can_fence:
        return f"nodeops inquest {host} --fence powers it off and proves it."
    return (
        "Power it off by hand and read the state back, then nodeops failover "
        f'{host} --fenced-by "how, seen by whom"; or set nodeops_fence_command in the inventory.'
    )


def _words(*signs: Sign) -> str:
    return "; ".join(f"{SOURCES[sign.source]}: {sign.words}" for sign in signs)


def _inquest(host: str, life: Life, why: str, signs: Sequence[Sign], at: float) -> Inquest:
    return Inquest(host, life, why, tuple(signs), at)
