"""Scripts that show and measure the running service; none of them is a test."""
