"""The platform's side of the guest agent, as the guest sees it: Wire Server, HostGAPlugin, instance metadata, DHCP."""
