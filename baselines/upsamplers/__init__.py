"""Upsamplers for several integer scales: one file each."""
