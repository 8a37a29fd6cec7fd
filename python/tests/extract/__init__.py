"""Extracts into files, and how they go on."""
