"""The pinger on real sockets: needs the right to send pings, as root has."""

import time

from nodeops.clients.ping import INTERVAL, Pinger


def test_loopback_answers_and_nowhere_does_not() -> None:
    with Pinger() as pinger:
        for address in ("127.0.0.1", "127.0.0.2", "240.0.0.1"):
            pinger.begin(address)
        deadline = time.monotonic() + 10
        while pinger.heard("127.0.0.2").longest == 0.0 and time.monotonic() < deadline:
            time.sleep(INTERVAL)
        pinger.end("127.0.0.2")
        quiet = pinger.heard("127.0.0.2").last
        time.sleep(5 * INTERVAL)
        assert pinger.heard("127.0.0.2").last == quiet, "it was let go"
        assert pinger.heard("127.0.0.1").last is not None
        assert pinger.heard("240.0.0.1").last is None
