"""Latency and peak memory of networks, and benchmarks of decoding and training."""
