"""One host through the Docker API: looks (observe, history, read, logs) and writes (apply, down)."""
