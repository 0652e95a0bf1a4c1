"""Measurements of decoding, training and memory for `harness bench`."""
