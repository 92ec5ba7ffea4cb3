"""Programs that are sent to a host and run there by its own Python (3.7 or later, standard library only).

Each is one file, read by `nodeops.clients.machine` and never imported by nodeops itself but for tests.
"""
