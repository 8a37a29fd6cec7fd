"""Statements that change a database, and frames that become tables."""
