"""Decoders: codes, coordinates and cells to what a head is fed. One file each."""
