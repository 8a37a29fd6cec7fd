"""Tests of the engines' modules, which `make test-engines` runs in an environment that has the engines."""
