"""Known log lines of Nova, Neutron, Cinder, oslo, libvirt and QEMU, from Zed to 2026.2.

`explain` finds the signature of a line, or of any sentence that quotes one, such as a server's fault.
"""

from nodeops.signatures.hosts import HOSTS
from nodeops.signatures.migrations import MIGRATIONS
from nodeops.signatures.networks import NETWORKS
from nodeops.signatures.scheduling import SCHEDULING
from nodeops.signatures.services import SERVICES
from nodeops.signatures.signature import Rank, Signature, best
from nodeops.signatures.starts import STARTS
from nodeops.signatures.storage import STORAGE
from nodeops.signatures.symptoms import SYMPTOMS

__all__ = ["SIGNATURES", "Rank", "Signature", "explain"]

SIGNATURES = (*SCHEDULING, *MIGRATIONS, *NETWORKS, *STARTS, *STORAGE, *HOSTS, *SERVICES, *SYMPTOMS)
"""The more telling of two that match one line stands first, or has the higher rank."""


def explain(line: str) -> Signature | None:
    """What is known of a line, the names it mentions filled in; None for one that is not known."""
    return best(SIGNATURES, line)
