"""The lab's simulated hosts: a virt driver for nova-compute, durable guests, and the faults they obey.

`driver` and `launch` import Nova and run in the lab's own Python environment; everything else is free of it.
"""
