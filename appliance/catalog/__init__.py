"""Reads ``roles/*/role.yml`` into typed Role objects."""
