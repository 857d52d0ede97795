"""The only hands that write: each engine observes a host and applies a plan."""
