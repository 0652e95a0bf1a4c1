"""Checkpoints, our own and official ones, and the networks that are measured from them."""

from __future__ import annotations

from harness.checkpoints.state_dicts import weights_hash
from harness.checkpoints.store import FORMAT, Loaded, load_model, open_checkpoint, read, save

__all__ = ["FORMAT", "Loaded", "load_model", "open_checkpoint", "read", "save", "weights_hash"]
