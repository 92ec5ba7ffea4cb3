"""What was wrong with a host or its hypervisor."""

from nodeops.signatures.signature import Signature, failure, known

HOSTS: tuple[Signature, ...] = (
    known(
        "libvirt-lost",
        r"Connection to libvirt lost|Connection to the hypervisor is broken|Failed to connect to libvirt|"
        r"Failed to connect socket to '(?P<socket>[^']+)'",
        "libvirt does not run on the host, or does not answer {socket}",
        "nova/virt/libvirt/host.py, get_connection",
        "nodeops host HOST status",
    ),
    known(
        "host-out-of-memory",
        r"Out of memory: Killed process \d+ \((?P<program>[^)]+)|[Cc]annot (?:allocate|set up guest) memory",
        "the host ran out of memory {program}",
        "Linux, OOM killer; QEMU",
        "nodeops status HOST",
    ),
    known(
        "huge-pages",
        r"unable to map backing store for guest RAM",
        "the host has not enough free huge pages",
        "QEMU, file_ram_alloc",
        "nodeops status HOST",
    ),
    known(
        "numa-does-not-fit",
        r"Requested instance NUMA topology cannot fit",
        "no NUMA cell of the host has room for its CPUs and memory",
        "nova/compute/claims.py, _test_numa_topology",
        "nodeops status HOST",
    ),
    known(
        "pci-claim",
        r"PCI device request (?P<what>.+?) failed|Claim pci failed",
        "the host has not the PCI devices it needs {what}",
        "nova/pci/stats.py, consume_requests",
        "nodeops status HOST",
    ),
    known(
        "kvm-unusable",
        r"Could not access KVM kernel module|KVM is not (?:supported|available)|"
        r"could not find capabilities for .*domaintype=kvm",
        "KVM cannot be used on the host: its module is not loaded, or virtualisation is off in the firmware",
        "QEMU and libvirt",
        "nodeops host HOST status",
    ),
    known(
        "node-identity-lost",
        r"No local node identity found",
        "nova-compute refuses to start: its compute_id file is gone",
        "nova/compute/manager.py, _check_for_host_rename",
        "nodeops host HOST logs",
    ),
    known(
        "domain-missing",
        r"Domain not found: no domain with matching (?:uuid|name) '(?P<domain>[^']+)'",
        "libvirt on the host does not know the guest {domain}",
        "libvirt, virDomainObjListFind",
        "nodeops states HOST",
    ),
    failure(
        "qemu-died",
        r"(?:qemu unexpectedly closed the monitor|process exited while connecting to monitor)"
        r"(?:: (?P<why>.+))?|[Uu]nable to read from monitor|End of file from (?:qemu|QEMU) monitor",
        "QEMU ended by itself; its log /var/log/libvirt/qemu on the host has its last words {why}",
        "libvirt, qemuProcessReportLogError",
        "nodeops host HOST logs",
    ),
)
