"""The command line: one module per verb; ``app`` is the only one who knows everybody."""
