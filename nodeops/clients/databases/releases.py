"""OpenStack releases by the heads of their database schemas; from the releases' own migrations."""

NOVA = {
    "ccb0fa1a2252": ("Zed",),
    "960aac0e09ea": ("2023.1",),
    "1acf2c98e646": ("2023.2",),
    "13863f4e1612": ("2024.1", "2024.2"),
    "2903cd72dc14": ("2025.1", "2025.2", "2026.1"),
    "ab450ba04102": ("2026.2",),
}
NOVA_API = frozenset({"b30f573d3377", "cdeec0c85668"})
NEUTRON = frozenset(
    {
        "5881373af7f5",
        "fc153938cdc1",
        "89c58a70ceba",
        "0e6eff810791",
        "5bcb7b31ec7d",
        "ad80a9f07c5c",
        "d553edeb540f",
        "b1bca967e19d",
        "c7f8d9e0f1a2",
        "5c85685d616d",
    }
)
"""Expand heads, and the one contract head that all of them have."""


def releases(nova: str, nova_api: str, neutron: tuple[str, ...]) -> tuple[str, ...]:
    """Those with such a Nova schema; empty when any of the three is none that is known."""
    if nova_api and nova_api not in NOVA_API:
        return ()
    if not NEUTRON.issuperset(neutron):
        return ()
    return NOVA.get(nova, ())
