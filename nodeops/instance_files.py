"""What lies in a host's instances path."""
