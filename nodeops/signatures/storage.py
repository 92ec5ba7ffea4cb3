"""Why a disk, volume or image was not there."""

from nodeops.signatures.signature import Signature, failure, known

STORAGE: tuple[Signature, ...] = (
    known(
        "disk-missing",
        r"[Cc](?:annot access storage file|ould not open) '(?P<path>[^']+)'[^\n]{0,60}?(?:No such file|"
        r"Permission denied)|Storage pool not found",
        "the host does not see the disk {path}: its storage is not mounted there, or the file is gone",
        "libvirt, virStorageFileReportBrokenChain",
        "nodeops disks HOST",
    ),
    known(
        "no-space",
        r"No space left on device",
        "a file system is full there",
        "Linux, ENOSPC",
        "nodeops disks HOST",
    ),
    known(
        "stale-nfs",
        r"Stale (?:NFS )?file handle",
        "the host holds a share that the NFS server has forgotten",
        "Linux, ESTALE",
        "nodeops disks HOST",
    ),
    known(
        "ceph",
        r"error connecting(?: to the cluster)?: (?P<why>Permission denied|Connection timed out|No such file)"
        r"|rados\.\w*(?P<other>Timed\w*|ObjectNotFound|PermissionDenied\w*)|error opening pool",
        "the host cannot use the Ceph cluster: {why}{other}",
        "librados",
        "nodeops host HOST logs",
    ),
    known(
        "secret-missing",
        r"Secret not found: no secret with matching uuid '(?P<uuid>[^']+)'",
        "the host's libvirt has no secret {uuid}, which opens the disk",
        "libvirt, virSecretObj",
        "nodeops host HOST status",
    ),
    known(
        "volume-path-missing",
        r"[Vv]olume device not found at|Could not login to any iSCSI portal|Fibre Channel volume device not "
        r"found|No iSCSI sessions",
        "the volume's device never appeared on the host: no path to the storage from there",
        "os_brick/exception.py",
        "nodeops host HOST logs",
    ),
    known(
        "volume-wrong-state",
        r"Invalid volume: (?P<why>[^\n\"']+)",
        "Cinder does not attach it: {why}",
        "cinder/exception.py, InvalidVolume",
        "openstack volume show VOLUME",
    ),
    failure(
        "volume-attach-failed",
        r"(?:Create|Update|Complete) attachment failed for (?:volume|attachment) (?P<id>\S+?)\.|"
        r"Unable to (?:update|create) (?:the )?attachment",
        "Cinder could not attach volume {id}; the log of cinder-volume says why",
        "nova/volume/cinder.py, attachment_create",
        "openstack volume attachment list",
    ),
    failure(
        "volume-driver-failed",
        r"Driver failed to attach volume (?P<volume>\S+)|Volume (?P<other>\S+) could not be attached",
        "the hypervisor did not take volume {volume}{other}",
        "nova/virt/block_device.py, _volume_attach",
        "openstack volume attachment list",
    ),
    known(
        "image-missing",
        r"Image (?P<image>[0-9a-f-]{36}) could not be found|Error contacting (?:the )?glance",
        "the image {image} cannot be had from Glance",
        "nova/image/glance.py",
        "openstack image show {image}",
    ),
    known(
        "image-space",
        r"Quota exceeded or out of space for image",
        "Glance has no room, or its quota is used up",
        "nova/exception.py, ImageQuotaExceeded",
        "openstack image list",
    ),
    known(
        "quiesce-failed",
        r"Quiescing instance failed but image property|Failed to quiesce instance: (?P<why>[^\n\"']+)"
        r"|[Gg]uest agent is not (?:responding|connected|available|enabled)"
        r"|unable to execute QEMU agent command '(?P<command>[^']+)'",
        "the guest agent did not freeze the file systems {why}{command}",
        "nova/virt/libvirt/driver.py, _set_quiesced",
        "nodeops snapshot SERVER --dry-run",
    ),
)
