"""Decoders from codes and coordinates to what a head is fed: one file each, found by `DECODERS`."""
