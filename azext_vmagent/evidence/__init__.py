"""What can be asked from outside the guest, and the only Azure I/O."""
