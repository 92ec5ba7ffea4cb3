"""The classes of refusal of a recovery after a boot."""

from nodeops.plan import Risk
from nodeops.runbooks.refusal_class import RefusalClass

OF_A_RECOVERY: tuple[RefusalClass, ...] = (
    RefusalClass(
        "ran-unknown",
        "it is off, and nothing tells whether it ran before the host went down or its owner had stopped it",
        "it is started",
        Risk.REBOOT,
        only_by_name=True,
        hint="Ask its owner. --booted tells when the host booted where neither it nor Nova does.",
        source="compute/manager.py, _sync_power_states: stops without a user what it finds off",
    ),
    RefusalClass(
        "in-error",
        "it is in ERROR, and whether that came with the boot is not known",
        "it is rebooted hard",
        Risk.REBOOT,
        only_by_name=True,
        hint="nodeops states tells what is wrong with it.",
        source="compute/vm_states.py, ALLOW_HARD_REBOOT",
    ),
    RefusalClass(
        "not-startable",
        "its guest is off, and nova starts and reboots none in its state",
        hint="A server in rescue: openstack server unrescue; one in VERIFY_RESIZE: confirm the resize first.",
        source="compute/vm_states.py, ALLOW_HARD_REBOOT",
    ),
)
