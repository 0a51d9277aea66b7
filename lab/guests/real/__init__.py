"""Real guests under QEMU. They need root and the packages in ``lab/packages.txt``."""

from lab.guests.real.guest import RealGuest

__all__ = ["RealGuest"]
