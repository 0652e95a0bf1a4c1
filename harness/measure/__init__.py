"""Measuring networks on benchmarks: scores, MACs, and the rows that keep them."""
