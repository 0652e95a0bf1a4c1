"""SSIM is that of scikit-image, for every kind of image, size and band, and on every device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from tiny import pixels
from torch import Tensor

from harness.data.degrade import unit
from harness.metrics import ssim
from harness.metrics.ssim import WINDOW, mean_ssim

TOLERANCE = 1e-12
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA device"))]  # fmt: skip


def oracle(x: Tensor, y: Tensor) -> float:
    """scikit-image in float64, channels first."""
    return float(
        structural_similarity(
            x.double().cpu().numpy(),
            y.double().cpu().numpy(),
            channel_axis=0,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def noise(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def kinds() -> dict[str, tuple[Tensor, Tensor]]:
    """Pairs that lose digits in different places: flat, dark, bright, unlike, opposite."""
    n, m, p = noise(64, 50), noise(64, 50, 1), unit(pixels(64, 50))
    one, levels = torch.ones_like(n), (m > 0.5) / 255
    return {
        "alike": ((p + 0.02 * (n - 0.5)).clamp(0, 1), p),
        "equal": (p, p),
        "unlike": (n, m),
        "opposite": (1 - p, p),
        "black and white": ((n > 0.5).float(), (m > 0.5).float()),
        "bright": (one - 0.004 * n, one - levels),
        "dark": (0.004 * n, levels),
        "flat": (0.93 * one, 0.95 * one),
        "bright and flat": (one - 0.1 * n, one),
        "offset": (0.1 * n, 0.9 * one + 0.1 * n),
        "flat and noise": (0.5 + 0.003 * n, 0.5 * one),
        "steps": ((p > 0.5).float(), p),
    }


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", kinds())
def test_every_kind_of_image(kind, device):
    x, y = kinds()[kind]
    found = ssim(x.to(device), y.to(device), "full", 2)
    assert found.dtype == torch.float64
    assert found.device.type == device
    assert found.item() == pytest.approx(oracle(x, y), abs=TOLERANCE)


@pytest.mark.parametrize("size", [(11, 11), (11, 40), (40, 11), (12, 13), (33, 34), (101, 57)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_small_and_odd_images(size, dtype):
    x, y = noise(*size), unit(pixels(*size))
    found = ssim(x.to(dtype), y.to(dtype), "full", 2)
    assert found.item() == pytest.approx(oracle(x, y), abs=TOLERANCE)


@pytest.mark.parametrize("height", [31, 32, 33, 54, 55, 100])
def test_bands_change_nothing(height):
    """Lowest bands, which have 22 rows: the last one whole, of one row, and all between."""
    x, y = noise(height, 20).double(), noise(height, 20, 1).double()
    whole, parts = (mean_ssim(x, y, band=band).item() for band in (10**9, 1))
    assert parts == pytest.approx(whole, abs=1e-14)
    assert parts == pytest.approx(oracle(x, y), abs=1e-12)


def test_memory_does_not_grow_with_the_image():
    seen: list[int] = []

    def prepare(rows: Tensor) -> Tensor:
        seen.append(rows.numel())
        return rows

    # One pixel, a thousand times: the image itself takes no memory.
    x = torch.rand(3, 1, 1).expand(3, 3000, 1000)
    assert mean_ssim(x, x, prepare).item() == pytest.approx(1)
    assert max(seen) < 1 << 18
    assert sum(seen) > 2 * x.numel()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("protocol", ["benchmark", "div2k", "full"])
def test_a_batch_is_its_images(protocol, device):
    x = torch.stack([noise(48, 52, seed) for seed in range(6)]).reshape(2, 3, 3, 48, 52)
    y = x.roll(1, dims=0).lerp(x, 0.7)
    found = ssim(x.to(device), y.to(device), protocol, 2.5)
    alone = [[ssim(a, b, protocol, 2.5).item() for a, b in zip(*rows, strict=True)]
             for rows in zip(x, y, strict=True)]  # fmt: skip
    np.testing.assert_allclose(found.cpu().numpy(), alone, atol=TOLERANCE)


def test_predictions_are_clamped():
    x, y = noise(40, 40), noise(40, 40, 1)
    wild = (x - 0.5) * 3
    assert ssim(wild, y, "full", 2) == ssim(wild.clamp(0, 1), y, "full", 2)
    assert ssim(wild, y, "full", 2).item() == pytest.approx(
        oracle(wild.clamp(0, 1), y), abs=TOLERANCE
    )


def test_half_precision_is_widened():
    x, y = noise(40, 40).half(), noise(40, 40, 1).half()
    assert ssim(x, y, "full", 2).item() == pytest.approx(oracle(x, y), abs=TOLERANCE)


@pytest.mark.parametrize("size", [(10, 40), (40, 10)])
def test_less_than_a_window_is_refused(size):
    with pytest.raises(ValueError, match=f"SSIM needs {WINDOW} pixels"):
        mean_ssim(noise(*size), noise(*size))
