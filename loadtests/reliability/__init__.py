"""Overload, isolation, slow clients, faults, memory, soak: what the service does on a bad day."""
