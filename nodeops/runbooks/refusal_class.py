"""What a class of refusal is."""

from dataclasses import dataclass

from nodeops.plan import Refusal, Risk
from nodeops.runbooks.options import MoveOptions


@dataclass(frozen=True, slots=True)
class RefusalClass:
    """One kind of reason to leave a server where it is."""

    name: str
    meaning: str
    """Why a server of this class is not simply moved."""
    override: str = ""
    """What is done when it is allowed; empty when nothing helps."""
    risk: Risk | None = None
    """What the override costs; None when there is none."""
    by_name: bool = False
    """It has to be named, or `--risk reboot` given, though its override costs no more than LIVE."""
    only_by_name: bool = False
    """No `--risk` covers it: it has to be named with `--allow`."""
    hint: str = ""
    """What else helps."""
    source: str = ""
    """Where Nova decides so: a file of nova 34, or a documented behaviour."""

    def allowed(self, options: MoveOptions) -> bool:
        """Whether these options override it."""
        if self.risk is None:
            return False
        if self.name in options.allow:
            return True
        if self.only_by_name:
            return False
        needed = max(self.risk, Risk.REBOOT) if self.by_name else self.risk
        return options.risk >= needed

    def refusal(self, reason: str, *, overridable: bool = True) -> Refusal:
        """Of one server; `overridable` False when the override does not work for this one."""
        if self.risk is None or not overridable:
            return Refusal(self.name, reason)
        return Refusal(self.name, reason, f"--allow {self.name}", self.risk)
