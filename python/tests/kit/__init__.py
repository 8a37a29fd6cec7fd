"""Shared test tools: servers, proxies in front of them, reference data and comparisons."""
