"""Ways into the guest, and which one to use."""
