"""What the project claims of speed and size, measured on a running appliance: `make bench`."""
