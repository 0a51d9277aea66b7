"""Guests behind the stand-in: ``real`` (QEMU) and ``recorded`` (a folder of what a real one answered)."""
