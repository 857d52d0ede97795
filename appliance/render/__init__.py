"""Topology → Bundle: pure rendering of the roles' templates."""
