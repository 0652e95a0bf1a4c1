"""Decoding, training and memory, measured for `harness bench`."""
