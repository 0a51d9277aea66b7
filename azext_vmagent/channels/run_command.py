"""Run Command (action): travels through the agent, so only an agent that reports Ready can answer.

Azure accepts it for a silent agent as well, and then it hangs for 20-90 minutes and cannot be cancelled. Our own wait
is bounded; what we leave behind is said.
"""

from __future__ import annotations

import time
from typing import Any

from azext_vmagent.evidence.arm import ArmClient
from azext_vmagent.evidence.asking import Said, SourceFailed, one_line
from azext_vmagent.evidence.compute import Compute
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.run_command import run_command_streams
from azext_vmagent.model import State, Target

#: Azure says that the shortest run takes about 20 s; a healthy one is seldom above a minute
PATIENCE_SECONDS = 90.0
#: «Get Operation» refills 15 a minute for a resource; every 3 s while it is fresh stays within its burst of 45
POLL_SECONDS = 3.0
#: how Azure ends a request that the agent never took up (SupportArticles error-messages.md)
_AGENT_SILENT = ("VMAgentStatusCommunicationError", "VMExtensionProvisioningTimeout")


def run(compute: Compute, arm: ArmClient, target: Target, script: str, deadline: Deadline) -> Said:
    """Run a script as root in the guest; (line for people, its stdout).

    Raises SourceFailed (TIMED_OUT names what stays behind) and azure.core errors (409 Conflict: another one runs).
    """
    budget = deadline.at_most(PATIENCE_SECONDS)
    started = time.monotonic()
    operation = compute.start_run_command(target, script, budget)
    while True:
        time.sleep(min(max(operation.retry_after, POLL_SECONDS), budget.remaining()))
        if budget.remaining() == 0:
            raise SourceFailed(State.TIMED_OUT, left_behind(time.monotonic() - started))
        status = _poll(arm, operation.status_url, budget)
        if status.get("status") in ("Succeeded", "Failed", "Canceled"):
            return _outcome(status)


def left_behind(seconds: float) -> str:
    """What to say about a request that we stopped waiting for."""
    return (
        f"accepted by Azure, no answer from the agent in {seconds:.0f} s; the request stays in the VM's queue "
        "(the VM shows «Updating») until the agent answers, Azure gives up after 20-90 min, or the VM is restarted"
    )


def _poll(arm: ArmClient, url: str, budget: Deadline) -> dict[str, Any]:
    try:
        return arm.get(url, {}, budget)
    except Exception:  # pylint: disable=broad-except  # a lost poll is not a lost command: ask again until the budget ends
        if budget.remaining() == 0:
            raise
        return {}


def _outcome(status: dict[str, Any]) -> Said:
    if status.get("status") != "Succeeded":
        said = status.get("error")
        error: dict[str, Any] = said if isinstance(said, dict) else {}
        reason = str(error.get("code", status.get("status")))
        state = State.TIMED_OUT if reason in _AGENT_SILENT else State.FAILED
        raise SourceFailed(state, one_line(f"{reason}: {error.get('message', '')}"))
    try:
        message = status["properties"]["output"]["value"][0]["message"]
    except (KeyError, IndexError, TypeError):
        raise SourceFailed(State.GARBLED, "the run command ended, but its output is not where Azure puts it") from None
    stdout, stderr, code = run_command_streams(str(message))
    if not stdout.strip():
        raise SourceFailed(State.FAILED, f"the script said nothing (exit {code}): {one_line(stderr, 120)}")
    return "answered by the agent", stdout
