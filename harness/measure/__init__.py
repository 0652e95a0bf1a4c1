"""Measurements of networks: metrics, MACs, latency, peak memory, and the rows that keep them."""
