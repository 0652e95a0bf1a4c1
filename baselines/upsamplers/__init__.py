"""Upsamplers for several integer scales: one file each, found by its `UPSAMPLERS`."""
