"""The bench: every stage of the service against what people would use instead, in one run on the same data."""
