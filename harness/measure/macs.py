"""Count MACs without running super-resolution.

Instead of a PSNR protocol, such a unit names the LR input:

- `macs-hr`: the HR image itself, enlarged by the scale (the paper's Table 3);
- `macs-lr`: the LR image of the scale (the paper's Table 4).
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor

from baselines.macs import MacCount
from harness.checkpoints.cmsr_table import prepared
from harness.checkpoints.subject import Subject
from harness.data.degrade import lr_size, unit
from harness.data.sets import ImageItem
from harness.upscale.network import expert_map

COUNTING_PROTOCOLS = {
    "macs-hr": "MACs with the HR images as LR input, enlarged by the scale",
    "macs-lr": "MACs with LR images of HR size over scale",
}

# What stands for the source of the LR image in such rows.
COUNTED_INPUT = {"macs-hr": "hr", "macs-lr": "size"}

COSTS = "costs"
"""Name in place of a protocol where latency and memory are measured (`harness.measure.costs`)."""

Size = tuple[int, int]
ACTIVATIONS_AT: Size = (256, 256)
"""Size of the LR image that activations are counted for, too: that of the NTIRE challenges."""


def is_counted(protocol: str) -> bool:
    """Tell whether a protocol stands for counting MACs, or measuring costs, without scoring."""
    return protocol == COSTS or protocol in COUNTING_PROTOCOLS


def lr_sizes(size: Size, scale: float, protocol: str) -> tuple[Size, Size]:
    """Compute the input size (h, w) and the output size (H, W) for an HR image of this size."""
    lr = size if protocol == "macs-hr" else lr_size(size, scale)
    return lr, (round(lr[0] * scale), round(lr[1] * scale))


def macs_of_image(
    subject: Subject, item: ImageItem, lr: Size, hr: Size, scale: float, precision: str = "fp32"
) -> MacCount:
    """Count the MACs of enlarging one image.

    A network with experts chooses them on the HR image. Where the LR input is another image,
    `measure_image` counts while it enlarges.

    Raises:
        ValueError: the network has experts and the LR input is not the HR image.
    """
    experts = None
    if subject.expert_depths:
        if lr != item.size():
            raise ValueError(f"{subject.method} must be run to know what it costs on LR images")
        experts = _experts(subject, item, scale, precision)
    return subject.model.count(lr, hr, experts)


_MAPS: OrderedDict[tuple[str, str, str, str], Tensor] = OrderedDict()
"""Expert maps of HR images, shared by all scales of an image where no budget is one of a scale."""
_KEPT = 128


def _experts(subject: Subject, item: ImageItem, scale: float, precision: str) -> Tensor | None:
    model = prepared(subject, scale, None)
    own = "" if model is subject.model else f"{subject.method} x{scale}"
    key = (subject.weights, own, item.fingerprint(), precision)
    if key not in _MAPS:
        found = expert_map(model, unit(item.load())[None], precision)
        if found is None:
            return None
        _MAPS[key] = found.to(torch.uint8).cpu()
        if len(_MAPS) > _KEPT:
            _MAPS.popitem(last=False)
    return _MAPS[key]
