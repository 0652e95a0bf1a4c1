"""Export of networks as ONNX files: `lr` (1, 3, height, width) in [0, 1], `size` (H, W) to `sr`.

Networks whose cell depends on the scale (LTE) have the nominal `scale` as a third input.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.base import SRModel
from baselines.composition import Composition, Decoder, Features, Routing
from baselines.geometry import AREA_EPS, CLAMP, SHIFT_EPS
from baselines.systems.implicit import ImplicitSR
from harness.common.errors import HarnessError
from harness.common.files import replacing
from harness.outside.onnx_model import packages

OPSET = 17
TOLERANCE = 1e-4
_PROBES = (((9, 12), 2.0), ((14, 7), 3.4), ((8, 11), 6.5))


def _double(value: float) -> Tensor:
    """Make a float64 constant; scalars of any kind the exporter casts to float32."""
    return torch.tensor([value], dtype=torch.float64)


def _centers(n: Tensor) -> Tensor:
    """Compute the centres of n pixels in the float32 operations of `geometry.pixel_centers`.

    Sizes are tensors here, so that they stay inputs of the graph; their arithmetic is float64, as
    Python's is.
    """
    half = _double(1) / n.double().reshape(1)
    places: Tensor = torch.arange(n).float()  # type: ignore[call-overload]
    return (half - _double(1)).float() + (half * _double(2)).float() * places


def _lookup(coord: Tensor, n: Tensor, shift: int) -> tuple[Tensor, Tensor]:
    """Find codes along one axis, as `geometry.latent_queries` does; n is a tensor."""
    step = (_double(shift) / n.double().reshape(1) + _double(SHIFT_EPS)).float()
    moved = coord + step if shift else coord
    place = ((moved.clamp(-CLAMP, CLAMP) + 1) * n.float() - 1) / 2
    index = torch.minimum(torch.round(place).long().clamp(min=0), n - 1)
    return index, (coord - _centers(n)[index]) * n.float()


class WholeImage(nn.Module):
    """Implicit network from an LR image to an SR image, query by query, for tracing.

    Args:
        model: the network.
        dense: whether every expert answers every query and one answer is kept; otherwise each
            expert answers its own queries (routed).
    """

    def __init__(self, model: ImplicitSR, dense: bool) -> None:
        super().__init__()
        self.model = model
        self.dense = dense

    def forward(self, lr: Tensor, size: Tensor, scale: Tensor | None = None) -> Tensor:
        """Map (1, 3, h, w) in [0, 1] and int64 (2,) to (1, 3, H, W), nominally in [0, 1]."""
        model = self.model
        features = model.encode(lr * 2 - 1)
        height, width = (torch.as_tensor(side) for side in features.size)
        lr_size = torch.stack([height, width]).double()
        cell = (_double(2) / size.double()).float()
        if scale is not None:  # as `ImplicitSR.cell_stretch`
            cell = cell * (scale / 4).clamp(min=1)
        y, x = _centers(size[0]), _centers(size[1])
        grid = torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).reshape(1, -1, 2)
        rel_cell = (cell * lr_size.float())[None]
        codes = model.decoder.codes(F.pad(features.latent, (0, 0, 1, 1)), rel_cell)[0]
        rows = rel_cell.expand(grid.shape[1], -1)
        shifts = (-1, 1) if model.ensemble else (0,)
        found = [
            (_lookup(grid[0, :, 0], height, dy), _lookup(grid[0, :, 1], width, dx))
            for dy in shifts
            for dx in shifts
        ]
        areas = [((y[1] * x[1]).abs() + AREA_EPS) for y, x in found]
        total = torch.stack(areas).sum(dim=0)
        rgb = torch.zeros_like(grid[0, :, :1])
        for (row, column), area in zip(found, reversed(areas), strict=True):
            index = row[0] * width + column[0]
            fed = model.decoder.feed(
                code := codes.index_select(0, index), torch.stack([row[1], column[1]], -1), rows
            )
            out = model.decoder.finish(code, self._answer(fed, features, index))
            rgb = rgb + (out * (area / total).unsqueeze(-1) if model.ensemble else out)
        skip = model.decoder.skip(features.lr, grid)
        rgb = rgb if skip is None else rgb + skip[0]
        image = rgb.reshape(1, size[0], size[1], 3).permute(0, 3, 1, 2)  # type: ignore[call-overload]
        return cast("Tensor", image * 0.5 + 0.5)

    def _answer(self, fed: Tensor, features: Features, index: Tensor) -> Tensor:
        """Send each query through the expert of its code."""
        routing: Routing | None = features.routing
        if routing is None:
            return cast("Tensor", self.model.head(fed, None))
        choice = routing.gates[0].argmax(dim=-1).index_select(0, index)
        total = torch.zeros_like(fed[:, :1])
        for number, expert in enumerate(self.model.head.mlps):
            chosen = choice == number
            if self.dense:
                total = total + torch.where(chosen[:, None], expert(fed), torch.zeros(()))
                continue
            rows = chosen.nonzero()[:, 0]
            part = expert(fed.index_select(0, rows))
            total = total.expand(-1, part.shape[1])
            total = total.scatter(0, rows[:, None].expand(-1, part.shape[1]), part)
        return total


class OneScale(nn.Module):
    """Network of one scale, from an LR image in [0, 1] to an SR image."""

    def __init__(self, model: SRModel, scale: int) -> None:
        super().__init__()
        self.model = model
        self.scale = scale

    def forward(self, lr: Tensor) -> Tensor:
        """Map (1, 3, h, w) to (1, 3, h * scale, w * scale)."""
        return self.model.image(lr, self.scale)


def export_onnx(model: SRModel, out: Path, method: str, dense: bool) -> dict[str, Any]:
    """Write a network in evaluation mode as an ONNX file, compared with the engine at some sizes.

    `method` is its name; `dense` as in `WholeImage`. Returns inputs, opset and the largest
    difference.

    Raises:
        HarnessError: the network has parts that cannot be exported, or differs.
    """
    onnx, _ = packages()
    wrapper, inputs = _wrapped(model, method, dense)
    lr, size = torch.rand(1, 3, 9, 12), torch.tensor([21, 31])
    given = (lr, size, torch.tensor([2.5]))[: len(inputs)]
    with replacing(out) as temporary:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the tracer, about sizes that are not inputs
            torch.onnx.export(
                wrapper.eval(),
                given,
                str(temporary),
                input_names=list(inputs),
                output_names=["sr"],
                dynamic_axes={
                    "lr": {2: "height", 3: "width"},
                    "sr": {2: "sr_height", 3: "sr_width"},
                },
                opset_version=OPSET,
                dynamo=False,
            )
        graph = onnx.load(str(temporary))
        for key, value in {"value_range": "unit", "method": method}.items():
            graph.metadata_props.add(key=key, value=value)
        onnx.save(graph, str(temporary))
        worst = _largest_difference(model, temporary)
        if not worst <= TOLERANCE:
            raise HarnessError(
                f"The exported network differs from {method} by {worst:.2g}.",
                "Nothing is written. Please report the method.",
            )
    return {"inputs": list(inputs), "opset": OPSET, "largest_difference": worst, "dense": dense}


def _wrapped(model: SRModel, method: str, dense: bool) -> tuple[nn.Module, tuple[str, ...]]:
    """Choose what is traced, and the names of its inputs."""
    reason = ""
    if model.window > 1:
        reason = "its attention masks are made for one image size"
    elif isinstance(model, Composition):
        if type(model.decoder).along is not Decoder.along:
            reason = "its decoder looks up codes in another way than LIIF"
        elif getattr(model.head, "routing_unit", "latent") != "latent":
            reason = "one expert serves an output pixel"
        elif getattr(model.head, "budget", None) is not None:
            reason = "its experts are chosen within a budget, which needs sorting by image"
        else:
            scale = ["scale"] * model.decoder.clips_cell
            return WholeImage(cast("ImplicitSR", model), dense), ("lr", "size", *scale)
    elif model.scales is None or len(model.scales) != 1:
        reason = "it has several scales" if model.scales else "it has no weights"
    elif model.expert_count > 1:
        reason = "its layers choose experts for a whole image"
    else:
        return OneScale(model, model.scales[0]), ("lr",)
    raise HarnessError(
        f"{method} cannot be exported as ONNX: {reason}.",
        "Measure it as it is; LIIF, LTE and MoEISR over EDSR, RDN and RCAN, and these at a fixed "
        "scale, can be exported.",
    )


def _largest_difference(model: SRModel, path: Path) -> float:
    """Compare the file with the network at sizes other than the traced one."""
    from harness.outside.onnx_model import OnnxModel
    from harness.upscale.network import upscale

    exported = OnnxModel(path)
    worst = 0.0
    for number, ((h, w), factor) in enumerate(_PROBES):
        scale = float(model.scales[0]) if model.scales else factor
        lr = torch.rand(1, 3, h, w, generator=torch.Generator().manual_seed(number))
        size = (round(h * scale), round(w * scale))
        images = [upscale(network, lr, scale, size).image for network in (model, exported)]
        worst = max(worst, (images[0] - images[1]).abs().max().item())
    return worst
