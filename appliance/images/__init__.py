"""What to build, what its tag is, how it is built and how it travels."""
