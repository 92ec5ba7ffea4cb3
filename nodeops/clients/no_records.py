"""What stands for the databases when none is configured."""

from collections.abc import Callable
from typing import NoReturn

from nodeops.errors import ConfigurationError


class NoRecords:
    """Implements `Records`: whatever is asked of it raises `ConfigurationError`."""

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name.startswith("_"):
            raise AttributeError(name)
        return not_configured


def not_configured(*_: object, **__: object) -> NoReturn:
    """Raises `ConfigurationError` that names what to set."""
    raise ConfigurationError(
        "databases of nova and neutron: no address is configured",
        hint=(
            "Set nodeops_nova_database, nodeops_nova_api_database and nodeops_neutron_database in the "
            "inventory, or NODEOPS_NOVA_DATABASE, NODEOPS_NOVA_API_DATABASE and NODEOPS_NEUTRON_DATABASE."
        ),
    )
