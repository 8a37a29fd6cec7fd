"""Tests of single modules, almost all without a server."""
