"""What runs on a compute host, sent there over SSH: standard library only, Python 3.8 or newer.

Nothing in here imports another part of nodeops, since nothing else is there.
"""
