"""The proxy as a program: `python -m nodeops.lab.proxy --state-dir DIR`; it ends on SIGTERM or SIGINT."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from nodeops.errors import NodeopsError
from nodeops.lab.api_faults import Service
from nodeops.lab.layout import Layout, read_layout
from nodeops.lab.proxy.routes import Route
from nodeops.lab.proxy.server import serving


def main() -> int:
    """Serve until a signal ends it; return 0, or 1 when a port is taken or there is no lab."""
    parser = argparse.ArgumentParser(prog="nodeops.lab.proxy", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True)
    try:
        layout = read_layout(parser.parse_args().state_dir)
        asyncio.run(_serve(layout))
    except (NodeopsError, OSError) as error:
        sys.stderr.write(f"proxy: {error}\n")
        return 1
    return 0


async def _serve(layout: Layout) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with serving(layout.root, routes(layout)):
        await ended.wait()


def routes(layout: Layout) -> list[Route]:
    return [Route(service, layout.public_port(service), layout.direct_port(service)) for service in Service]


if __name__ == "__main__":
    sys.exit(main())
