"""Reads of queries, in every way to read."""
