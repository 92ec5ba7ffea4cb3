"""What can be chosen about a lab; the answers are kept in `<root>/options.json` for the next `up`."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from nodeops.errors import ConfigurationError, UsageError
from nodeops.lab.layout import Layout, replace_text

MOST_HOSTS = 200
MOST_REAL_HOSTS = 20


@dataclass(frozen=True, slots=True)
class LabOptions:
    hosts: int = 6
    concurrent_migrations: int = 1
    """Nova's `max_concurrent_live_migrations`: how many it runs at once out of one host."""
    storage: str = "shared"
    """shared or local."""
    migration_rate: float = 512.0
    """MiB/s."""
    real_hosts: int = 0
    """When not 0, the lab has this many real hosts and no simulated ones."""

    @property
    def host_names(self) -> list[str]:
        count = self.real_hosts or self.hosts
        width = max(2, len(str(count)))
        return [f"c{number:0{width}}" for number in range(1, count + 1)]


def read_options(layout: Layout) -> LabOptions:
    """Return what the lab was made with, or the defaults.

    Raises:
        ConfigurationError: the file cannot be read.

    """
    path = layout.root / "options.json"
    try:
        return LabOptions(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return LabOptions()
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"lab file {path} cannot be read: {error}", hint="Remove it: the next `lab up` writes it anew."
        ) from error


def choose(layout: Layout, **chosen: Any) -> LabOptions:
    """Return the lab's options with those that are not None changed, and keep them.

    Raises:
        UsageError: a value is out of its range, or a lab would lose hosts.

    """
    old = read_options(layout)
    new = replace(old, **{name: value for name, value in chosen.items() if value is not None})
    if not 1 <= new.hosts <= MOST_HOSTS:
        raise UsageError(f"--hosts {new.hosts} is not between 1 and {MOST_HOSTS}")
    if (layout.root / "options.json").exists() and new.hosts < old.hosts:
        raise UsageError(
            f"lab {layout.name} has {old.hosts} hosts and cannot lose any",
            hint="Make it anew: `nodeops lab destroy`, then `nodeops lab up --hosts N`.",
        )
    if chosen.get("real_hosts") is not None:
        _see_real_hosts(layout, old, new)
    if old.real_hosts and new.storage != old.storage:
        raise UsageError(
            f"lab {layout.name} has real hosts with {old.storage} storage, which stays as it is",
            hint="Make it anew: `nodeops lab destroy`, then `nodeops lab up --real-hosts N --storage KIND`.",
        )
    if new.storage not in {"shared", "local"}:
        raise UsageError(f"--storage {new.storage} is neither shared nor local")
    if new.concurrent_migrations < 1 or new.migration_rate <= 0:
        raise UsageError("--concurrent-migrations and --migration-rate must be positive")
    replace_text(layout.root / "options.json", json.dumps(asdict(new), indent=1))
    return new


def _see_real_hosts(layout: Layout, old: LabOptions, new: LabOptions) -> None:
    if not 1 <= new.real_hosts <= MOST_REAL_HOSTS:
        raise UsageError(f"--real-hosts {new.real_hosts} is not between 1 and {MOST_REAL_HOSTS}")
    if (layout.root / "options.json").exists() and new.real_hosts < (old.real_hosts or MOST_REAL_HOSTS + 1):
        has = f"{old.real_hosts} real hosts" if old.real_hosts else "simulated hosts"
        raise UsageError(
            f"lab {layout.name} has {has}, and a host is not exchanged or taken away",
            hint="Make it anew: `nodeops lab destroy`, then `nodeops lab up --real-hosts N`.",
        )
