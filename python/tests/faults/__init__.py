"""Servers that are gone, slow, locked or hostile, and calls that are ended."""
