"""Benchmarks for developers: the engine against the plain path, and memory of whole commands."""
