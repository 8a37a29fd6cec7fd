"""Tests of `extract`, which writes files and continues where an earlier call has ended."""
