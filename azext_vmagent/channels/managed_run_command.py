"""Managed run command: a resource of its own with a handler of its own, beside the action.

For when the action is taken by somebody's script although the agent is Ready. It creates a resource, so it is the
second choice: whatever happens, it deletes what it created, and says so where Azure did not confirm it (deleting is an
extension operation too, and needs the agent). ``asyncExecution``: Azure's operation ends when the script starts; the
outcome is in the resource's instance view. Needs agent 2.4.0.2; 25 of them fit on a VM; output is the last 4 KB, which
is the probe's limit. That it is taken up beside a busy action is documented, and unverified on Azure.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from azext_vmagent.channels.open_requests import OpenRequest, OpenRequests
from azext_vmagent.channels.run_command import (
    LAST_LOOK_SECONDS,
    ONE_POLL_SECONDS,
    in_the_way,
    vm_arguments,
    wait_before_the_next_look,
)
from azext_vmagent.evidence.arm import ArmClient
from azext_vmagent.evidence.asking import Said, SourceFailed, failure, innermost, one_line
from azext_vmagent.evidence.compute import API_VERSION
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.facts.run_command_obstacles import NOT_TAKEN_UP
from azext_vmagent.model import State, Target

#: the end of the budget is kept for deleting what was created
DELETE_SECONDS = 4.0
_VERSION = {"api-version": API_VERSION}
_OVER = ("Succeeded", "Failed", "TimedOut", "Canceled")


def run(arm: ArmClient, target: Target, location: str, script: str, deadline: Deadline, requests: OpenRequests) -> Said:
    """Run a script as root in the guest; (line for people, its stdout). Raises SourceFailed as ``run_command.run``."""
    command = _Command(arm, target, f"vmagent-{uuid.uuid4().hex[:12]}")
    budget = Deadline(deadline.at - DELETE_SECONDS)
    with requests.held(OpenRequest(command.stays, command.delete)):
        try:
            command.create(location, script, budget)
            stdout = command.outcome(budget)
        except SourceFailed as exc:
            rest = command.delete(deadline) if command.may_exist else ""
            detail = f"{exc.detail}; {rest}" if rest else exc.detail
            raise SourceFailed(exc.state, detail, exc.missing_action, exc.status, exc.cause) from exc
        rest = command.delete(deadline)
    return "answered by the agent" + (f"; {rest}" if rest else ""), stdout


class _Command:
    """The resource ``runCommands/NAME`` of this run; the name is nobody else's."""

    def __init__(self, arm: ArmClient, target: Target, name: str) -> None:
        self._arm, self._target, self._name = arm, target, name
        self._path = f"{target.id}/runCommands/{name}"
        self._status_url = ""
        self.may_exist = False

    def create(self, location: str, script: str, budget: Deadline) -> None:
        """PUT it; Azure answers as soon as it is accepted. A script that outlasts our wait is ended by the handler."""
        properties = {
            "source": {"script": script},
            "asyncExecution": True,
            "timeoutInSeconds": 1 + int(budget.remaining()),
        }
        self.may_exist = True
        try:
            headers, _ = self._arm.send(
                "PUT", self._path, _VERSION, budget, {"location": location, "properties": properties}
            )
        except Exception as exc:
            failed = failure(exc)
            self.may_exist = failed.status is None or failed.status >= 500
            raise in_the_way(failed, self._target) from exc
        self._status_url = headers.get("azure-asyncoperation", "")

    def outcome(self, budget: Deadline) -> str:
        """Look until the script is over; its stdout."""
        started = time.monotonic()
        while True:
            time.sleep(wait_before_the_next_look(0.0, budget))
            properties = self._look(budget)
            view = properties.get("instanceView")
            view = view if isinstance(view, dict) else {}
            if view.get("executionState") in _OVER:
                return _stdout(view)
            if properties.get("provisioningState") == "Failed":
                raise in_the_way(SourceFailed(State.FAILED, self._why(budget)), self._target)
            if budget.remaining() <= LAST_LOOK_SECONDS:
                waited = f"accepted by Azure, no answer from the agent in {time.monotonic() - started:.0f} s"
                raise SourceFailed(State.TIMED_OUT, waited, cause=NOT_TAKEN_UP)

    def delete(self, deadline: Deadline) -> str:
        """DELETE it; "" when it is known to be gone, else what may stay and what clears it."""
        budget = deadline.at_most(DELETE_SECONDS)
        try:
            headers, _ = self._arm.send("DELETE", self._path, _VERSION, budget)
        except Exception as exc:  # pylint: disable=broad-except  # said, never raised: it must not hide the answer
            failed = failure(exc)
            return "" if failed.status == 404 else f"it could not be deleted ({failed.detail}): {self.stays()}"
        url = headers.get("azure-asyncoperation") or headers.get("location")
        while url and budget.remaining() > LAST_LOOK_SECONDS:
            time.sleep(LAST_LOOK_SECONDS / 2)
            if self._gone(url, budget):
                return ""
        return f"its deletion was accepted and is not confirmed yet: {self.stays()}" if url else ""

    def stays(self) -> str:
        """What to say when nothing more can be done about it."""
        clears = f"az vm run-command delete {vm_arguments(self._target).replace(' -n ', ' --vm-name ')}"
        return f"the managed run command {self._name} may stay on the VM; {clears} --name {self._name} --yes deletes it"

    def _look(self, budget: Deadline) -> dict[str, Any]:
        try:
            found = self._arm.get(self._path, {**_VERSION, "$expand": "instanceView"}, budget.at_most(ONE_POLL_SECONDS))
        except Exception as exc:  # pylint: disable=broad-except  # a lost look is not a lost command
            failed = failure(exc)
            if failed.state is State.DENIED:
                raise failed from exc
            return {}
        properties = found.get("properties")
        return properties if isinstance(properties, dict) else {}

    def _why(self, budget: Deadline) -> str:
        """Why Azure did not bring it to the guest: the operation knows, the resource does not."""
        try:
            status = self._arm.get(self._status_url, {}, budget.at_most(ONE_POLL_SECONDS)) if self._status_url else {}
        except Exception as exc:  # pylint: disable=broad-except  # then nobody says why
            return failure(exc).detail
        code, message = innermost(status.get("error"))
        return one_line(f"{code or 'Failed'}: {message}")

    def _gone(self, url: str, budget: Deadline) -> bool:
        try:
            status = self._arm.get(url, {}, budget).get("status")
        except Exception:  # pylint: disable=broad-except  # not known to be gone
            return False
        return status == "Succeeded"


def _stdout(view: dict[str, Any]) -> str:
    stdout = str(view.get("output") or "")
    if not stdout.strip():
        said = one_line(view.get("error") or view.get("executionMessage") or "", 120)
        raise SourceFailed(State.FAILED, f"the script said nothing ({view.get('executionState')}): {said}")
    return stdout
