"""Look at the cloud before a plan and after a run. Holds a `View` only: nothing here can change anything.

What could not be asked is in `unseen`, each begun by what it is: `migrations`, `aggregates`, `properties of
image`, `allocations`, `room` (candidates), `trait`, `server groups`, `ports`, `volume attachments`.
"""

from nodeops.gather.drain import gather_drain, gather_return
from nodeops.gather.evidence import gather_evidence
from nodeops.gather.hosts import find_host

__all__ = ["find_host", "gather_drain", "gather_evidence", "gather_return"]
