"""Every action by the name that steps use."""

from collections.abc import Mapping

from nodeops.actions.action import Action
from nodeops.actions.allocation import MoveAllocation
from nodeops.actions.attachments import RenewAttachments, RestoreAttachments
from nodeops.actions.bind_ports import BindPorts, TellNeutron
from nodeops.actions.cold_migrate import ColdMigrate
from nodeops.actions.confirm_resize import ConfirmResize
from nodeops.actions.evacuate import Evacuate
from nodeops.actions.force_down import ForceDown
from nodeops.actions.leftovers import LEFTOVERS
from nodeops.actions.live_migrate import LiveMigrate
from nodeops.actions.power import POWER, ResetState
from nodeops.actions.reboot import RebootHard
from nodeops.actions.rewrite_bindings import RestoreBindings, RewriteBindings
from nodeops.actions.rewrite_records import RestoreRecords, RewriteRecords
from nodeops.actions.save_images import SaveImages
from nodeops.actions.service import DisableService, EnableService
from nodeops.actions.settle import SETTLE
from nodeops.actions.shelve import SHELVE, SHELVE_OFFLOAD, Unshelve
from nodeops.actions.volumes import VOLUMES
from nodeops.actions.wait import WaitDeleted, WaitTask

_ALL: tuple[Action, ...] = (
    DisableService(),
    EnableService(),
    ForceDown(),
    ForceDown("lift-force-down", forced=False),
    LiveMigrate(),
    LiveMigrate("block-migrate", block=True),
    ColdMigrate(),
    Evacuate(),
    ConfirmResize(),
    WaitTask(),
    WaitDeleted(),
    *POWER,
    *SETTLE,
    ResetState(),
    SHELVE,
    SHELVE_OFFLOAD,
    Unshelve(),
    SaveImages(),
    MoveAllocation(),
    RewriteRecords(),
    RewriteBindings(),
    BindPorts(),
    RenewAttachments(),
    RebootHard(),
    RestoreAttachments(),
    RestoreBindings(),
    TellNeutron(),
    RestoreRecords(),
    MoveAllocation("restore-allocation"),
    *LEFTOVERS,
    *VOLUMES,
)

ACTIONS: Mapping[str, Action] = {action.name: action for action in _ALL}
"""`Step.action` is a key of this."""
