"""The classes of refusal of attaching volumes anew."""

from nodeops.runbooks.refusal_class import RefusalClass

OF_A_REATTACH: tuple[RefusalClass, ...] = (
    RefusalClass(
        "root-volume",
        "the attachment of its root volume is stale, and a root volume is never detached",
        hint=(
            "With the databases of nova and cinder configured the attachment is renewed in place; else stop "
            "the server and use nova-manage volume_attachment refresh, as the reason says."
        ),
        source="api/openstack/compute/volume_attachments.py: Cannot detach a root device volume",
    ),
    RefusalClass(
        "not-detachable",
        "a volume of it is stale, and in its state nothing can be detached",
        hint="Bring it to ACTIVE or STOPPED first; nodeops states tells what is wrong with it.",
        source="compute/api.py, detach_volume",
    ),
)
