"""A lab of real hosts that is taken down leaves nothing behind, and comes up again as it was."""

import subprocess
from pathlib import Path

from nodeops.lab.real import wiring
from nodeops.lab.real.places import RealLab
from tests.lab.bed import Bed
from tests.real.guests import await_guest


def test_down_leaves_nothing(bed: Bed) -> None:
    (name,) = bed.boot("c01", 1)
    await_guest(bed, name)
    assert bed.lab("down").code == 0
    lab = RealLab(bed.layout)
    assert [pid for pid in Path("/proc").glob("[0-9]*") if str(bed.root) in _words(pid)] == []
    assert str(bed.root) not in Path("/proc/mounts").read_text(encoding="utf-8")
    assert list(wiring.NETNS.glob(f"{bed.layout.name}-*")) == []
    assert [group for host in lab.made for group in wiring.CGROUPS.glob(f"*/{host.netns}")] == []
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    assert lab.leg not in links

    assert bed.lab("up").code == 0
    assert all(service["state"] == "up" for service in bed.services().values())
    assert bed.servers()[name]["OS-EXT-SRV-ATTR:host"] == "c01"
    bed.becomes("SHUTOFF", name)


def _words(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
