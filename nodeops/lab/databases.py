"""The services' databases: made empty and brought to the release's schema, side by side."""

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from nodeops.errors import FailedError
from nodeops.lab import mariadb
from nodeops.lab.api_faults import Service
from nodeops.lab.config_files import REGION
from nodeops.lab.layout import Layout
from nodeops.lab.processes import clean_environment, run_logged

AT_ONCE = 3
DATABASES = {
    "nova": ("nova_api", "nova_cell0", "nova_cell1"),
    "neutron": ("neutron",),
    "keystone": ("keystone",),
    "cinder": ("cinder",),
    "glance": ("glance",),
    "placement": ("placement",),
}
"""By service, the longest first."""


def make_all(layout: Layout, say: Callable[[str], None]) -> bool:
    """Make what is not whole yet; return whether anything was made.

    Raises:
        FailedError: a schema could not be made.

    """
    wanted = [service for service in DATABASES if not (layout.done / f"database-{service}").exists()]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for made in as_completed([pool.submit(_make, layout, service) for service in wanted]):
            say(f"database of {made.result()} made")
    return bool(wanted)


def _make(layout: Layout, service: str) -> str:
    for name in DATABASES[service]:
        mariadb.recreate(layout, name)
    if service == "keystone":
        _make_keys(layout)
    for command in _commands(layout, service):
        _run(layout, service, command)
    (layout.done / f"database-{service}").touch()
    return service


def _commands(layout: Layout, service: str) -> list[list[str]]:
    etc = layout.etc
    nova = [layout.program("nova-manage"), "--config-file", str(etc / "nova" / "nova.conf")]
    keystone = [
        layout.program("keystone-manage"),
        "--config-file",
        str(etc / "keystone" / "keystone.conf"),
    ]
    neutron = etc / "neutron"
    identity = f"{layout.direct_url(Service.IDENTITY)}/v3"
    commands: dict[str, list[list[str]]] = {
        "nova": [
            [*nova, "api_db", "sync"],
            [*nova, "cell_v2", "map_cell0", "--database_connection", layout.database_url("nova_cell0")],
            [*nova, "db", "sync"],
            [*nova, "cell_v2", "create_cell", "--name", "cell1"],
        ],
        "neutron": [
            [
                layout.program("neutron-db-manage"),
                *("--config-file", str(neutron / "neutron.conf")),
                *("--config-file", str(neutron / "ml2.ini"), "upgrade", "heads"),
            ]
        ],
        "keystone": [
            [*keystone, "db_sync"],
            [
                *(*keystone, "bootstrap", "--bootstrap-password", layout.password),
                *("--bootstrap-public-url", f"{layout.public_url(Service.IDENTITY)}/v3"),
                *("--bootstrap-internal-url", identity, "--bootstrap-admin-url", identity),
                *("--bootstrap-region-id", REGION),
            ],
        ],
        "placement": [
            [layout.program("placement-manage"), "--config-dir", str(etc / "placement"), "db", "sync"]
        ],
        "cinder": [
            [
                layout.program("cinder-manage"),
                *("--config-file", str(etc / "cinder" / "cinder.conf"), "db", "sync"),
            ]
        ],
        "glance": [
            [
                layout.program("glance-manage"),
                *("--config-file", str(etc / "glance" / "glance-api.conf"), "db", "sync"),
            ]
        ],
    }
    return commands[service]


def _make_keys(layout: Layout) -> None:
    import grp  # noqa: PLC0415 - only on the machine that runs a lab
    import os  # noqa: PLC0415 - likewise
    import pwd  # noqa: PLC0415 - likewise

    user, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    for kind in ("fernet", "credential"):
        directory = layout.etc / "keystone" / kind
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700, parents=True)
        keystone = [layout.program("keystone-manage"), "--config-file"]
        _run(
            layout,
            "keystone",
            [
                *(*keystone, str(layout.etc / "keystone" / "keystone.conf"), f"{kind}_setup"),
                *("--keystone-user", user, "--keystone-group", group),
            ],
        )


def _run(layout: Layout, service: str, command: Sequence[str]) -> None:
    log: Path = layout.logs / f"database-{service}.out"
    code = run_logged(command, log, clean_environment(layout), layout.root)
    if code:
        raise FailedError(
            f"database of {service} could not be made (exit code {code})",
            hint=f"What was said is in {log}; `nodeops lab up` begins it again.",
        )
