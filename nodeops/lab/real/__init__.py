"""Real compute hosts of a lab: systemd-nspawn containers with libvirt, QEMU and nova-compute of their own."""
