"""Lines that say that something failed; what stands before them says why."""

from nodeops.signatures.signature import Signature, symptom

SYMPTOMS: tuple[Signature, ...] = (
    symptom(
        "live-migration-failed",
        r"Live [Mm]igration (?:failure|failed)|Migration operation has aborted|Pre live migration failed at "
        r"(?P<host>\S+)",
        "the live migration failed {host}",
        "nova/compute/manager.py, _do_live_migration",
        "nodeops trace SERVER",
    ),
    symptom(
        "build-failed",
        r"Instance failed to spawn|Failed to build and run instance|Instance failed block device setup",
        "the guest was not started",
        "nova/compute/manager.py, _build_and_run_instance",
        "nodeops trace SERVER",
    ),
    symptom(
        "set-to-error",
        r"Setting instance (?:vm_state )?to ERROR",
        "Nova set it to ERROR after a failure",
        "nova/compute/manager.py, _error_out_instance_on_exception",
        "nodeops states HOST",
    ),
    symptom(
        "request-failed",
        r"Failed to compute_task_(?P<what>\w+)",
        "the conductor gave up: {what}",
        "nova/scheduler/utils.py, set_vm_state_and_notify",
        "nodeops trace SERVER",
    ),
    symptom(
        "shut-down-by-itself",
        r"Instance shutdown by itself",
        "the guest was shut down from inside, or its host went down",
        "nova/compute/manager.py, _sync_instance_power_state",
        "nodeops states HOST",
    ),
)
