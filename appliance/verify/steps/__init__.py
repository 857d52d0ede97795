"""End-to-end steps. Each module is one group of questions; adding a step means adding one decorated function."""
