"""Tests of servers that are gone, slow, locked or hostile, and of calls that are interrupted."""
