"""The records that the domains need: wanted (pure), live (looked up), compared by meaning, printed as a zone."""
