"""Serves one WSGI application: `python -m nodeops.lab.wsgi MODULE PORT THREADS [ARGUMENT …]`.

The arguments are what the service finds in `sys.argv`. waitress, because uwsgi's HTTP socket drops kept-alive
connections, which kills a nova-compute that is starting.
"""

import importlib
import sys

from nodeops.lab.layout import LOOPBACK


def main() -> None:
    module, port, threads, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    import waitress  # noqa: PLC0415 - only in the lab's environment

    application = importlib.import_module(module).application
    waitress.serve(
        application,
        host=LOOPBACK,
        port=int(port),
        threads=int(threads),
        channel_timeout=600,
        connection_limit=500,
        expose_tracebacks=True,
        clear_untrusted_proxy_headers=False,
    )


if __name__ == "__main__":
    main()
