"""What stands in Run Command's way, told from the words in which Azure refuses or ends it. Pure.

The texts are Azure's own, from recordings and issues (azure-cli#32305, azure-docs#10409, SupportArticles
error-messages.md); nobody guarantees them. What is not recognised stays as Azure said it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from azext_vmagent.facts.instance_view import ExtensionFacts

# codes of the cause catalogue
VM_OFF, FORBIDDEN_BY_MODEL = "P01", "P04"
BUSY, WEDGED, NOT_TAKEN_UP, NOT_CONVERGED = "P07", "P08", "P09", "P10"
NO_RIGHT, LOCKED = "P14", "P15"
OTHER_OPERATION = "P19"


@dataclass(frozen=True)
class Obstacle:
    """``code`` of the cause, ``words`` for people: by what, and how it clears. ``{vm}`` stands for ``-g … -n …``."""

    code: str
    words: str

    def told(self, vm_arguments: str) -> str:
        """The sentence for this VM."""
        return self.words.replace("{vm}", vm_arguments)


_WEDGED_CLEARS = (
    "az vm extension delete {vm} --name RunCommandLinux clears it once the agent is Ready, then restart the agent"
)
_BUSY = Obstacle(
    BUSY,
    "busy: another run command is executing (somebody's, or one left behind earlier). Nobody can cancel it; it ends "
    f"within 90 min. Past that it is wedged: {_WEDGED_CLEARS}",
)
_SPOKEN = (
    (r"run command extension execution is in progress", _BUSY),
    (
        r"not all the extensions in the previous goal state have completed|goal state .{0,60}not .{0,20}converge",
        Obstacle(
            NOT_CONVERGED,
            "the agent is still at the extensions of an earlier goal state: az vm extension list {vm} shows which; "
            "az vm reapply {vm} asks for them again",
        ),
    ),
    (
        r"changing power state",
        Obstacle(
            OTHER_OPERATION, "another operation is changing the VM's power state: ask again when it has come to rest"
        ),
    ),
    (
        r"when the VM is not running|requires the VM to be running|marked to be deallocated|VMNotRunning",
        Obstacle(VM_OFF, "the VM does not run: az vm start {vm}"),
    ),
    (
        r"conflict with a concurrent request|OperationPreempted|preempted by a more recent",
        Obstacle(
            OTHER_OPERATION,
            "another operation on the VM is in progress: its Activity Log names it (https://aka.ms/activitylog); ask "
            "again when it has ended",
        ),
    ),
    (
        r"extension operations are disallowed|allowExtensionOperations",
        Obstacle(
            FORBIDDEN_BY_MODEL,
            "the VM forbids extension operations: az vm update {vm} --set osProfile.allowExtensionOperations=true",
        ),
    ),
    (
        r"VMAgentStatusCommunicationError|has not reported status for VM agent",
        Obstacle(
            NOT_TAKEN_UP,
            "accepted, but the agent never took it up and Azure gave up: the agent is silent, whatever Azure shows",
        ),
    ),
    (
        r"not reported latest status for extension|VMExtensionProvisioningTimeout",
        Obstacle(WEDGED, f"wedged: the agent reports, its run command extension does not. {_WEDGED_CLEARS}"),
    ),
    (
        r"maximum number of run commands",
        Obstacle(BUSY, "the VM holds its 25 managed run commands already: az vm run-command list {vm}"),
    ),
    (
        r"ScopeLocked|RequestDisallowedByPolicy",
        Obstacle(LOCKED, "a resource lock or a policy forbids it: az lock list -g with the VM's group shows locks"),
    ),
)
_PATTERNS = tuple((re.compile(pattern, re.IGNORECASE), obstacle) for pattern, obstacle in _SPOKEN)


def obstacle(said: str, missing_action: str | None = None) -> Obstacle | None:
    """What Azure's words mean, or None where they are not known.

    >>> obstacle("Conflict: Run command extension execution is in progress. Please wait").code
    'P07'
    >>> obstacle("InternalServerError: oops") is None
    True
    """
    if missing_action:
        return Obstacle(NO_RIGHT, f"not allowed: it takes the right {missing_action}")
    return next((found for pattern, found in _PATTERNS if pattern.search(said)), None)


def in_transition(extensions: tuple[ExtensionFacts, ...]) -> Obstacle | None:
    """The extension that holds the channel according to the instance view, with its own words."""
    found = next((extension for extension in extensions if extension.transitioning), None)
    if found is None:
        return None
    said = f" («{found.message[:100]}»)" if found.message else ""
    where = f"extension {found.name} is still in progress{said}"
    if "runcommand" in f"{found.name} {found.type}".lower():
        return Obstacle(
            WEDGED,
            f"the channel is taken: {where}: another run command executes, or one was left hanging. It ends within "
            f"90 min; past that {_WEDGED_CLEARS}",
        )
    return Obstacle(
        NOT_CONVERGED,
        f"the channel is busy: {where}. If it stays so: az vm extension delete {{vm}} --name {found.name}, or az vm "
        "reapply {vm}",
    )
