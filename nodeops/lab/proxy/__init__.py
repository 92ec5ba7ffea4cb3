"""The one process between clients and the lab's services: it forwards, counts and spoils calls."""
