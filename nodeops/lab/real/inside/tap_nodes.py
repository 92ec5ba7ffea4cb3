"""Makes /dev/tapN when the kernel says that a macvtap device appeared: a container has no devtmpfs.

Listens to the kernel's uevents in the host's own network namespace.
"""

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

NETLINK_KOBJECT_UEVENT = 15
KERNEL_EVENTS = 1
ROOM = 65536


def main() -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_KOBJECT_UEVENT) as events:
        events.bind((0, KERNEL_EVENTS))
        while True:
            told = dict(word.split("=", 1) for word in events.recv(ROOM).decode().split("\0") if "=" in word)
            node = Path("/dev") / told.get("DEVNAME", "")
            if told.get("SUBSYSTEM") != "macvtap":
                continue
            with suppress(FileNotFoundError):
                node.unlink()
            if told["ACTION"] == "add":
                number = os.makedev(int(told["MAJOR"]), int(told["MINOR"]))
                os.mknod(node, stat.S_IFCHR | 0o660, number)


if __name__ == "__main__":
    main()
