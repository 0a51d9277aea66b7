"""Long-running operations: 202 with two addresses to poll, at most one power operation per VM, pre-emption.

A run command takes its VM until it ends; managed ones have a handler of their own and go beside it. A power operation
is accepted meanwhile and ends them with ``OperationPreempted`` (nobody publishes the rule: unverified on Azure).
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab.arm.errors import ArmError, concurrent_request
from lab.arm.times import arm_time
from lab.arm.vm import LabVm

_KEPT = 500
RUN_COMMAND, MANAGED, DELETE_MANAGED, DELETE_EXTENSION = (
    "runCommand", "managedRunCommand", "deleteRunCommand", "deleteExtension",
)  # fmt: skip
#: operations on extensions, which a power operation pre-empts
EXTENSIONS = (RUN_COMMAND, MANAGED, DELETE_MANAGED, DELETE_EXTENSION)


@dataclass
class Operation:
    """One asynchronous operation on one VM."""

    name: str
    action: str
    vm: LabVm
    started: float
    ended: float | None = None
    status: str = "InProgress"
    output: Any = None
    error: ArmError | None = None

    @property
    def over(self) -> bool:
        """Whether it has ended, one way or the other."""
        return self.ended is not None

    def document(self) -> dict[str, Any]:
        """The body of its Azure-AsyncOperation address."""
        body: dict[str, Any] = {"startTime": arm_time(self.started)}
        if self.ended is not None:
            body["endTime"] = arm_time(self.ended)
        body["status"] = self.status
        if self.error is not None:
            body["error"] = self.error.error()
        if self.output is not None:
            body["properties"] = {"output": self.output}
        body["name"] = self.name
        return body


Work = Callable[[Operation], Any]


class Operations:
    """All operations of a stand-in, running ones and those that ended lately."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: dict[str, Operation] = {}

    def begin(self, vm: LabVm, action: str, work: Work) -> Operation:
        """Run ``work`` in a thread; its result becomes the operation's output, an ArmError its error."""
        power = action not in EXTENSIONS
        with self._lock:
            running = self._running(vm)
            if any(other.action not in EXTENSIONS for other in running):
                raise concurrent_request()
            for other in running if power else ():
                self._end(other, error=_preempted())
            operation = Operation(str(uuid.uuid4()), action, vm, time.time())
            self._all[operation.name] = operation
            self._forget_old()
        threading.Thread(target=self._run, args=(operation, work), daemon=True).start()
        return operation

    def get(self, name: str) -> Operation | None:
        """The operation of that name, if it is still known."""
        with self._lock:
            return self._all.get(name)

    def running(self, vm: LabVm) -> list[Operation]:
        """What holds this VM now."""
        with self._lock:
            return self._running(vm)

    def _running(self, vm: LabVm) -> list[Operation]:
        return [one for one in self._all.values() if one.vm is vm and not one.over]

    def _run(self, operation: Operation, work: Work) -> None:
        error, output = None, None
        try:
            output = work(operation)
        except ArmError as raised:
            error = raised
        except Exception as raised:  # a guest that fails is an internal error of the platform, as a client sees it
            error = ArmError(500, "InternalExecutionError", f"An internal execution error occurred. ({raised})")
        with self._lock:
            self._end(operation, output, error)

    def _end(self, operation: Operation, output: Any = None, error: ArmError | None = None) -> None:
        if operation.over:
            return
        operation.output, operation.error = output, error
        operation.status = "Failed" if error else "Succeeded"
        operation.ended = operation.vm.changed_at = time.time()
        operation.vm.failure = error.code if error else None

    def _forget_old(self) -> None:
        while len(self._all) > _KEPT:
            over = next((name for name, one in self._all.items() if one.over), None)
            if over is None:
                return
            del self._all[over]


def _preempted() -> ArmError:
    return ArmError(409, "OperationPreempted", "Operation execution has been preempted by a more recent operation.")
