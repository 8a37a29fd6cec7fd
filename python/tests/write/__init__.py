"""Tests of statements that change a database, and of frames that are written into tables."""
