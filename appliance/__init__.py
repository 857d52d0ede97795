"""One YAML spec becomes a complete mail system, and proves that it works."""

__version__ = "0.1.0"
