"""The lab's RabbitMQ, with an epmd of its own so that nothing outlives it."""

from pathlib import Path

from nodeops.lab.layout import LOOPBACK, Layout
from nodeops.lab.packages import program
from nodeops.lab.processes import Program

EPMD_PATTERNS = ("/usr/lib/erlang/erts-*/bin/epmd", "/usr/bin/epmd")


def programs(layout: Layout) -> list[Program]:
    """Return epmd and the broker, in the order they have to be started."""
    home = layout.root / "rabbitmq"
    home.mkdir(exist_ok=True)
    environment = {
        "HOME": str(home),
        "ERL_EPMD_PORT": str(layout.port("epmd")),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "RABBITMQ_NODENAME": f"lab{layout.base_port}@localhost",
        "RABBITMQ_NODE_PORT": str(layout.port("rabbitmq")),
        "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
        "RABBITMQ_DIST_PORT": str(layout.port("rabbitmq-distribution")),
        "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
        "RABBITMQ_LOG_BASE": str(layout.logs),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
    }
    epmd = next((path for pattern in EPMD_PATTERNS for path in sorted(Path("/").glob(pattern[1:]))), None)
    broker = Program(
        name="rabbitmq",
        command=[program("rabbitmq-server")],
        environment=environment,
        port=layout.port("rabbitmq"),
        stop_seconds=20,
    )
    if epmd is None:
        return [broker]
    return [
        Program(
            name="epmd",
            command=[str(epmd), "-port", str(layout.port("epmd")), "-address", LOOPBACK],
            environment=environment,
            port=layout.port("epmd"),
            stop_seconds=3,
        ),
        broker,
    ]
