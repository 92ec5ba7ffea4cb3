"""Compute-node maintenance and evacuation for OpenStack."""
