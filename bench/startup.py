"""How long `nodeops --help` and `nodeops status` take, the latter against bare openstacksdk.

bench/startup.py [CLOUD]        its name in clouds.yaml, or a lab's; default nodeops-lab
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from nodeops.lab.layout import lab_cloud_config

NODEOPS = str(Path(sys.executable).parent / "nodeops")
TIMES = 9
HELP_LIMIT, STATUS_LIMIT = 0.25, 1.5
BARE = """
import openstack
for service in openstack.connect(cloud={cloud!r}).compute.services(binary="nova-compute"):
    print(service.host, service.state)
"""


def medians(commands: list[list[str]], environment: dict[str, str]) -> list[float]:
    """Wall time of each, taken in turns so that a busy moment of the machine hits all of them."""
    taken: list[list[float]] = [[] for _ in commands]
    for _ in range(TIMES):
        for command, times in zip(commands, taken, strict=True):
            began = time.perf_counter()
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - began)
    return [statistics.median(times) for times in taken]


def main() -> int:
    cloud = sys.argv[1] if len(sys.argv) > 1 else "nodeops-lab"
    found = lab_cloud_config(cloud)
    environment = dict(os.environ) | ({"OS_CLIENT_CONFIG_FILE": str(found)} if found else {})
    (helped,) = medians([[NODEOPS, "--help"]], environment)
    print(f"nodeops --help             {helped:6.3f} s   limit {HELP_LIMIT} s")
    status = [NODEOPS, "--os-cloud", cloud, "status"]
    bare = [sys.executable, "-c", BARE.format(cloud=cloud)]
    ours, theirs = medians([status, bare], environment)
    print(f"bare openstacksdk          {theirs:6.3f} s   connect, list services")
    print(f"nodeops status             {ours:6.3f} s   {ours / theirs:.2f} x, limit {STATUS_LIMIT} x")
    return 0 if helped <= HELP_LIMIT and ours <= STATUS_LIMIT * theirs else 1


if __name__ == "__main__":
    sys.exit(main())
