"""PSNR and SSIM by protocol."""

from __future__ import annotations

from harness.metrics.scores import PROTOCOLS, psnr, shaved_border, ssim, too_small

__all__ = ["PROTOCOLS", "psnr", "shaved_border", "ssim", "too_small"]
