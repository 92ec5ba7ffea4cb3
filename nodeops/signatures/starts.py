"""Why a guest whose disks are on the host was not started there."""

from nodeops.signatures.signature import Signature, known

STARTS: tuple[Signature, ...] = (
    known(
        "backing-file-missing",
        r"Cannot access backing file '(?P<path>[^']+)'|"
        r"Could not open backing file: Could not open '(?P<other>[^']+)'",
        "the image below its disk, {path}{other}, is gone or cannot be read there",
        "libvirt, virStorageSourceReportBrokenChain; QEMU, block.c",
        "nodeops disks HOST",
    ),
    known(
        "disk-broken",
        r"Image is not in (?P<form>\w+) format|Could not read (?:L1|snapshot|refcount) table|"
        r"qcow2: Marking image as corrupt|qemu-img failed to execute on (?P<path>\S+)",
        "its disk or the image below it is damaged, or of another format than it should be {path}{form}",
        "QEMU, block/qcow2.c; nova/privsep/qemu.py",
        "nodeops disks HOST",
    ),
    known(
        "disk-gone",
        r"No disk at (?P<path>\S+)",
        "its disk {path} is gone",
        "nova/exception.py, DiskNotFound",
        "nodeops disks HOST",
    ),
)
