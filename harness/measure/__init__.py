"""Measurements of networks on benchmarks: metrics, MACs, and the rows that keep them."""
