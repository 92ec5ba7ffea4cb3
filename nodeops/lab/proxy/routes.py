"""Where each service is reached by clients, and where it really listens."""

from dataclasses import dataclass

from nodeops.lab.api_faults import Service

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Route:
    """One service behind the proxy."""

    service: Service
    public_port: int
    direct_port: int

    @property
    def direct(self) -> str:
        return f"http://{LOOPBACK}:{self.direct_port}"
