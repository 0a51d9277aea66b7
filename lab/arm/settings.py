"""How the platform behaves: what Azure does not publish, or does differently from day to day, can be set."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from lab import latency
from lab.guests.base import LabError

_CHOICES = {
    "console_second": ("takes-over", "refused"),
    "console_cue": ("first-message", "none"),
    "run_command_channel": ("free", "busy", "wedged"),
    "capacity": ("there", "none"),
}


@dataclass
class Settings:
    """Seconds, unless the name says otherwise."""

    #: age of the last upload from which on the agent counts as Not Ready; a slow platform takes 900
    not_ready_after: float = 30.0
    #: a minute has metric values this long after its end; Azure takes 60 to 180, short here as ``not_ready_after`` is
    metrics_lag: float = 5.0
    #: ``none`` or ``azure``
    latency: str = "none"
    #: when a run command that nobody answers ends with VMAgentStatusCommunicationError (25 minutes were seen)
    run_command_limit: float = 1500.0
    #: ``free``; ``busy``: somebody's script executes for ever; ``wedged``: its extension hangs, until it is deleted
    run_command_channel: str = "free"
    #: VMs per page of a list
    page_size: int = 50
    #: a second user of a serial console ``takes-over`` (Microsoft Learn, «Concurrent usage») or is ``refused``
    console_second: str = "takes-over"
    #: the console's client sends its token on the server's ``first-message``, or unasked: ``none``
    console_cue: str = "first-message"
    #: what the caller may do: names of actions, separated by commas, with ``*`` as in a role definition
    rights: str = "*"
    #: names of read-only locks on the VMs' resource group, separated by commas
    locks: str = ""
    #: names of policies that forbid every change of a resource (not of its state), separated by commas
    policies: str = ""
    #: addresses that are left in the subnet
    free_addresses: int = 100
    #: ``none``: Azure has no other machine for a VM that is redeployed or started
    capacity: str = "there"

    def change(self, name: str, value: str) -> None:
        """Set one by its name; LabError when there is no such setting or the value does not fit."""
        kinds = {one.name: type(getattr(self, one.name)) for one in fields(self)}
        if name not in kinds:
            raise LabError(f"there is no setting '{name}'; there are {', '.join(kinds)}")
        try:
            converted = kinds[name](value)
        except ValueError as error:
            raise LabError(f"{name}: '{value}' is not a number") from error
        if name == "latency" and converted not in latency.MODES:
            raise LabError(f"latency is one of {', '.join(latency.MODES)}")
        if converted not in _CHOICES.get(name, (converted,)):
            raise LabError(f"{name} is one of {', '.join(_CHOICES[name])}")
        setattr(self, name, converted)

    def as_dict(self) -> dict[str, Any]:
        """All of them."""
        return asdict(self)
