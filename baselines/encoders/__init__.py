"""Encoders from an LR image to features on the LR grid: one file each, found by its `ENCODERS`."""
