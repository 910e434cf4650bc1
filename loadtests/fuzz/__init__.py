"""Hostile input: mutated bodies, queries and headers against a live service under a memory limit (`make fuzz`)."""
