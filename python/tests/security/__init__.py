"""Tests of logins, TLS, and secrets that must not be shown."""
