"""Partitioned reads return every row exactly once, from one snapshot."""
