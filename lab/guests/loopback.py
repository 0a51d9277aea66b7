"""Loopback addresses that only one laboratory of this machine uses: another one's open port would be a lie."""

from __future__ import annotations

import errno
import socket

from lab.guests.base import LabError

#: bound, and never read, for as long as the addresses are taken
_CLAIM_PORT = 16820


class LoopbackNetwork:
    """``127.N.0.0/16`` for the lowest N that nobody has claimed. The claim ends with `close`, or with the process."""

    def __init__(self) -> None:
        self._claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.number = next((number for number in range(255) if self._claimed(number)), -1)
        if self.number < 0:
            self._claim.close()
            raise LabError("no loopback addresses are left: too many laboratories run on this machine")

    def _claimed(self, number: int) -> bool:
        try:
            self._claim.bind((f"127.{number}.0.1", _CLAIM_PORT))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
        return True

    def address(self, index: int) -> str:
        """The public address of the VM with this index (0 to 200)."""
        return f"127.{self.number}.{20 + index}.4"

    def close(self) -> None:
        """Let another laboratory have it."""
        self._claim.close()
