"""Run Command (action): travels through the agent, so only an agent that reports Ready can answer.

Azure accepts it for a silent agent as well, and then it hangs for 20-90 minutes and cannot be cancelled. Our own wait
is bounded; what we leave behind is said, with what clears it.
"""

from __future__ import annotations

import shlex
import time
from typing import Any

from azext_vmagent.channels.open_requests import OpenRequest, OpenRequests
from azext_vmagent.evidence.arm import ArmClient
from azext_vmagent.evidence.asking import Said, SourceFailed, failure, innermost, one_line
from azext_vmagent.evidence.compute import Compute
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.run_command import run_command_output, run_command_streams
from azext_vmagent.facts.run_command_obstacles import NOT_TAKEN_UP, obstacle
from azext_vmagent.model import State, Target

#: for the probe: Azure says that the shortest run takes about 20 s; a healthy one is seldom above a minute
PATIENCE_SECONDS = 90.0
#: «Get Operation» refills 15 a minute for a resource; every 3 s while it is fresh stays within its burst of 45
POLL_SECONDS = 3.0
#: kept for one last look: an answer that came during the last wait is not thrown away
LAST_LOOK_SECONDS = 1.0
#: a poll that hangs must not take the budget of those after it
ONE_POLL_SECONDS = 10.0


def run(
    compute: Compute, arm: ArmClient, target: Target, script: str, deadline: Deadline, requests: OpenRequests
) -> Said:
    """Run a script as root in the guest; (line for people, its stdout).

    The deadline is the caller's patience. Raises SourceFailed: TIMED_OUT names what stays behind, other states what
    stood in the way and how it clears.
    """
    started = time.monotonic()

    def stays() -> str:
        return left_behind(target, time.monotonic() - started)

    with requests.held(OpenRequest(stays)):
        try:
            operation = compute.start_run_command(target, script, deadline)
        except Exception as exc:
            failed = failure(exc)
            if failed.state is State.TIMED_OUT:
                raise SourceFailed(State.TIMED_OUT, stays(), cause=NOT_TAKEN_UP) from exc
            raise in_the_way(failed, target) from exc
        while True:
            time.sleep(wait_before_the_next_look(operation.retry_after, deadline))
            status = _poll(arm, operation.status_url, deadline)
            if status.get("status") in ("Succeeded", "Failed", "Canceled"):
                return _outcome(status, target)
            if deadline.remaining() <= LAST_LOOK_SECONDS:
                raise SourceFailed(State.TIMED_OUT, stays(), cause=NOT_TAKEN_UP)


def wait_before_the_next_look(retry_after: float, budget: Deadline) -> float:
    """As long as Azure wishes, but so that one last look still fits into the budget."""
    return max(0.0, min(max(retry_after, POLL_SECONDS), budget.remaining() - LAST_LOOK_SECONDS))


def in_the_way(failed: SourceFailed, target: Target) -> SourceFailed:
    """The failure with the name of what caused it and what clears it, where Azure's words are known."""
    found = obstacle(failed.detail, failed.missing_action)
    if found is None:
        return failed
    state = State.TIMED_OUT if found.code == NOT_TAKEN_UP else failed.state
    words = f"{found.told(vm_arguments(target))} (Azure: {one_line(failed.detail, 100)})"
    return SourceFailed(state, words, failed.missing_action, failed.status, found.code)


def vm_arguments(target: Target) -> str:
    """``-g RG -n VM``, quoted."""
    return f"-g {shlex.quote(target.resource_group)} -n {shlex.quote(target.name)}"


def left_behind(target: Target, seconds: float) -> str:
    """What to say about a request that we stopped waiting for."""
    return (
        f"no answer from the agent in {seconds:.0f} s; the request, once accepted by Azure, stays in the VM's queue "
        "(the VM shows «Updating») until the agent answers, Azure gives up after 20-90 min, or the VM is restarted: "
        f"az vm restart {vm_arguments(target)}"
    )


def _poll(arm: ArmClient, url: str, budget: Deadline) -> dict[str, Any]:
    """The operation's state; {} when it could not be asked now: a lost poll is not a lost command."""
    try:
        return arm.get(url, {}, budget.at_most(ONE_POLL_SECONDS))
    except Exception as exc:  # pylint: disable=broad-except  # asked again until the budget ends
        failed = failure(exc)
        if failed.state is State.DENIED:
            detail = f"sent, but its outcome may not be read: {failed.detail}"
            raise SourceFailed(State.DENIED, detail, failed.missing_action, failed.status) from exc
        return {}


def _outcome(status: dict[str, Any], target: Target) -> Said:
    if status.get("status") != "Succeeded":
        code, message = innermost(status.get("error"))
        if "[stdout]" in message:  # a script that ended with an error has said something all the same
            return "answered by the agent", run_command_streams(message)[0]
        said = one_line(f"{code or status.get('status')}: {message}")
        raise in_the_way(SourceFailed(State.FAILED, said), target)
    try:
        stdout, stderr, exit_code = run_command_output(status["properties"]["output"]["value"])
    except (KeyError, IndexError, TypeError):
        raise SourceFailed(State.GARBLED, "the run command ended, but its output is not where Azure puts it") from None
    if not stdout.strip():
        raise SourceFailed(State.FAILED, f"the script said nothing (exit {exit_code}): {one_line(stderr, 120)}")
    return "answered by the agent", stdout
