"""Why a server could not be moved."""

from nodeops.signatures.signature import Signature, failure, known

DRIVER = "nova/virt/libvirt/driver.py"

MIGRATIONS: tuple[Signature, ...] = (
    known(
        "cpu-incompatible",
        r"CPU doesn't have compatibility|Unacceptable CPU info|[Gg]uest CPU (?:doesn't match specification|"
        r"is not compatible with host CPU)|the CPU is incompatible with host CPU"
        r"|Host CPU does not provide required features: ?(?P<features>[^\n\"']*)",
        "the target's CPU cannot run what the guest was started with {features}",
        f"{DRIVER}, _compare_cpu; libvirt",
        "nodeops drain HOST --to HOST-WITH-THE-SAME-CPU",
    ),
    known(
        "disk-not-shared",
        r"(?<!\S)(?P<path>\S+) is not on shared storage",
        "its disk {path} is not on storage the target shares",
        f"{DRIVER}, check_can_live_migrate_source",
        "nodeops disks HOST",
    ),
    known(
        "disk-shared",
        r"(?<!\S)(?P<path>\S+) is not on local storage|Block migration can not be used with shared storage",
        "a block migration was asked for and the disk is on shared storage",
        f"{DRIVER}, check_can_live_migrate_source",
        "nodeops drain HOST",
    ),
    known(
        "unsafe-migration",
        r"Unsafe migration: (?P<why>[^\n\"']+)",
        "libvirt holds the migration for unsafe: {why}",
        "libvirt, qemuMigrationSrcIsSafe",
        "nodeops disks HOST",
    ),
    known(
        "migration-timed-out",
        r"Live migration not completed after (?P<seconds>\d+) sec",
        "it did not converge within {seconds} s (live_migration_completion_timeout): the guest dirties "
        "memory faster than it is copied, or the link is slow",
        "nova/virt/libvirt/migration.py, should_trigger_timeout_action",
        "nodeops watch SERVER",
    ),
    known(
        "libvirt-unreachable",
        r"unable to connect to server at '(?P<where>[^']+)': (?P<why>[A-Z][\w ]+)",
        "the target does not take the connection at {where}: {why}; its libvirt or QEMU does not listen "
        "there, or a firewall is between",
        "libvirt, virNetSocketNewConnectTCP",
        "nodeops host TARGET status",
    ),
    known(
        "connection-lost",
        r"client socket is closed|connection closed due to keepalive timeout|[Ll]ost connection to "
        r"destination host|End of file while reading data",
        "the connection to the target's libvirt broke off in the middle: the target died, its libvirt was "
        "restarted, or the network is cut",
        "libvirt, virNetClient and qemuMigrationSrcWaitForCompletion",
        "nodeops inquest TARGET",
    ),
    known(
        "name-unknown",
        r"[Uu]nable to resolve address '(?P<where>[^']+)'|Name or service not known",
        "a host's name {where} has no address there",
        "libvirt, virNetSocketNewConnectTCP",
        "nodeops host HOST status",
    ),
    known(
        "tls",
        r"(?P<why>[Cc]ertificate[^\n\"']{0,80}(?:expired|not been activated|does not match|failed "
        r"(?:validation|to verify))|TLS handshake failed[^\n\"']*)",
        "the hosts do not trust each other's certificates: {why}",
        "libvirt, virNetTLSContext",
        "nodeops host TARGET logs",
    ),
    known(
        "ssh-between-hosts",
        r"Host key verification failed|Permission denied \(publickey|"
        r"authentication failed: (?P<why>[^\n\"']+)",
        "one host may not log in on the other: the nova user's key or known host is missing {why}",
        "nova/virt/libvirt/utils.py, copy_image",
        "nodeops host HOST status",
    ),
    known(
        "libvirt-lock-held",
        r"cannot acquire state change lock(?: \(held by (?P<job>[^)]*)\))?",
        "libvirt works on the same guest with another job that does not end {job}",
        "libvirt, virDomainObjBeginJob",
        "nodeops states HOST",
    ),
    known(
        "disk-in-use",
        r"Failed to get (?:shared )?\\?\"?(?:write|consistent read)?\\?\"? ?lock|Is another process using "
        r"the (?:image|file)",
        "another QEMU holds the same disk: the guest runs twice, or a tool has the disk open",
        "QEMU, block/file-posix.c",
        "nodeops states HOST",
    ),
    known(
        "disk-exists",
        r"The supplied disk path \((?P<path>[^)]+)\) already exists",
        "an earlier attempt left {path} on the target",
        f"{DRIVER}, pre_live_migration",
        "nodeops disks TARGET",
    ),
    known(
        "no-room-for-disk",
        r"Disk of instance is too large\s?\((?P<room>[^)]*)",
        "the target has not the room for its disk: {room}",
        f"{DRIVER}, _assert_dest_node_has_enough_disk",
        "nodeops disks TARGET",
    ),
    known(
        "no-memory-at-target",
        r"Lack of memory\((?P<room>[^)]*)",
        "the target has not the memory: {room}",
        "nova/conductor/tasks/live_migrate.py, _check_destination_has_enough_memory",
        "nodeops status TARGET",
    ),
    known(
        "hypervisor-too-old",
        r"The instance requires a newer hypervisor version",
        "the target's hypervisor is older than that of the source",
        "nova/conductor/tasks/live_migrate.py, _check_compatible_with_source_hypervisor",
        "nodeops status",
    ),
    known(
        "machine-type",
        r"[Uu]nsupported machine type '?(?P<kind>[\w.-]+)|machine type '(?P<other>[\w.-]+)' is not supported",
        "the target's QEMU does not know the guest's machine type {kind}{other}: it is older",
        "libvirt and QEMU",
        "nodeops host TARGET status",
    ),
    known(
        "migration-cancelled",
        r"Migration operation was cancelled|migration (?:out )?job: canceled by client",
        "it was cancelled, by an operator or by Nova's own time limit",
        f"{DRIVER}, _live_migration_monitor",
        "nodeops trace SERVER",
    ),
    failure(
        "migration-pre-check",
        r"Migration pre-check (?:error|failed): (?P<why>[^\n\"']+)",
        "the target was tested before the move and refused: {why}",
        "nova/exception.py, MigrationPreCheckError",
        "nodeops trace SERVER",
    ),
    failure(
        "migration-job-failed",
        r"(?:migration (?:out |in )?job|job 'migration (?:out|in)'): ?"
        r"(?P<why>unexpectedly failed|failed[^\n\"']*)|"
        r"job 'migration (?:out|in)' (?P<other>(?:unexpectedly )?failed)",
        "QEMU's copy broke off ({why}{other}); QEMU's log of the guest on both hosts says why",
        "libvirt, qemuMigrationJobCheckStatus",
        "nodeops host HOST logs",
    ),
)
