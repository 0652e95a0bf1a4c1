"""Latency and peak memory of every method at every scale, on one machine, as stored rows.

Rows of `harness.results` hold seconds and memory of each image too, as it came in a sweep: neither
warm, nor in turns with the others, nor of one network alone. Here every method of a scale enlarges
the same LR image, in turns, and then each once more in a process of its own.
"""
