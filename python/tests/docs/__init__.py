"""The documentation: its examples run, its links lead somewhere, its menu has every page."""
