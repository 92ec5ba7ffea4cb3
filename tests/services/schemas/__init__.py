"""Schemas of OpenStack releases, made by the releases' own tools (`make.py`), for tests to load."""
