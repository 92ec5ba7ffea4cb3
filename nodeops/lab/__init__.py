"""A real OpenStack on this machine."""

DEFAULT_NAME = "nodeops-lab"
"""Of the lab that is meant when none is named."""
