"""Look at the cloud before a plan and after a run. Holds a `View` only: nothing here can change anything."""

from nodeops.gather.drain import gather_drain, gather_return
from nodeops.gather.evidence import gather_evidence
from nodeops.gather.hosts import find_host

__all__ = ["find_host", "gather_drain", "gather_evidence", "gather_return"]
