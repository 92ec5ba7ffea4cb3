"""Hosts that are asked themselves, as a test says: silent unless it says otherwise."""

from dataclasses import dataclass, field

from nodeops.errors import ApiError
from nodeops.model.senses import Guests, Heard, HookWord, Power, PowerAction, PowerReading

SILENT = Heard(answered=False, words="no answer")


@dataclass
class FakeSenses:
    """The same for every host; `powers` are read one after the other, the last for ever."""

    powers: list[Power] = field(default_factory=list)
    """Empty: no fence command is configured."""
    pinged: Heard = SILENT
    reached: Heard = SILENT
    domains: Guests | None = None
    hooked: HookWord | None = None
    switched: list[PowerAction] = field(default_factory=list)
    obeys: bool = True
    """Whether its power does as it is told."""
    refuses: ApiError | None = None

    def power(self, host: str) -> PowerReading | None:  # noqa: ARG002 - all are alike
        if not self.powers:
            return None
        state = self.powers.pop(0) if len(self.powers) > 1 else self.powers[0]
        return PowerReading(state, "said nothing" if state is Power.UNKNOWN else str(state))

    def ping(self, host: str) -> Heard:  # noqa: ARG002 - all are alike
        return self.pinged

    def ssh(self, host: str) -> Heard:  # noqa: ARG002 - all are alike
        return self.reached

    def guests(self, host: str) -> Guests | None:  # noqa: ARG002 - all are alike
        return self.domains

    def hook(self, host: str) -> HookWord | None:  # noqa: ARG002 - all are alike
        return self.hooked

    def switch(self, host: str, action: PowerAction) -> str:  # noqa: ARG002 - all are alike
        if self.refuses is not None:
            raise self.refuses
        self.switched.append(action)
        if self.obeys:
            self.powers = [Power.OFF if action is PowerAction.OFF else Power.ON]
        return "done"
