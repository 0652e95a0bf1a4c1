"""`harness flops`: multiply-adds without running the decoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.options import (
    data_root_option,
    device_option,
    echo,
    json_option,
    parse_size,
    print_json,
    scale_factor,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from baselines.base import SRModel
    from harness.data.sets import ImageItem

AS_LR = {
    "hr": "the HR images are the LR input, as in the paper's Table 3",
    "lr": "the LR input is the HR image divided by the scale, as in the paper's Table 4",
}


@click.command(
    epilog="Example: harness flops edsr-liif --dataset Set14 --scale 30 --data-root ~/data",
    no_args_is_help=True,
)
@click.argument("method")
@click.option("--scale", type=scale_factor, required=True)
@click.option("--dataset", help="Count for every image of a dataset.")
@click.option("--size", metavar="HxW", help="Count for one LR image of this size instead.")
@click.option(
    "--as-lr",
    type=click.Choice(list(AS_LR)),
    default="hr",
    show_default=True,
    help="With --dataset: " + "; ".join(f"{key}: {text}" for key, text in AS_LR.items()) + ".",
)
@click.option(
    "--shares",
    metavar="even|A,B,...",
    help="MoEISR: assumed share of each expert, shallowest first. SeemoRe: of the layers, lowest "
    "rank first; unless given, the highest rank has all.",
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, dir_okay=False),
    help="MoEISR, SeemoRe, with --dataset: count the experts that this network chooses.",
)
@data_root_option
@device_option
@json_option
def flops(
    method: str,
    scale: float,
    dataset: str | None,
    size: str | None,
    as_lr: str,
    shares: str | None,
    checkpoint: Path | None,
    data_root: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Multiply-adds of METHOD at the paper's network sizes (or of a checkpoint).

    "Decoder" is what the paper calls the decoder's FLOPs: every query through its expert's whole
    MLP, and the mapper. LTE's amplitude, frequency and phase layers, which the paper leaves out,
    are listed as "estimator". Of IGConv the decoder is what its kernels do for every LR pixel; the
    network that makes them, once for a scale, is listed as "kernels".
    """
    from harness.common import device as devices
    from harness.common.errors import UsageError
    from harness.data.sets import check_name, find
    from harness.profiles import places

    if (dataset is None) == (size is None):
        raise UsageError("Give either --dataset or --size.")
    model, origin = _network(method, checkpoint, devices.resolve(device))
    reason = model.refusal(scale)
    if reason:
        raise UsageError(f"{method} {reason}.")
    expert_shares, assumption = _shares(model, shares, checkpoint, dataset)
    if size is not None:
        sizes: list[tuple[str, tuple[int, int], ImageItem | None]] = [
            ("", parse_size(size, "--size"), None)
        ]
    else:
        assert dataset is not None
        found = find(check_name(dataset), places.resolve(data_root).data_root)
        sizes = [(item.name, item.size(), item) for item in found.items]
    lines = []
    for name, image_size, item in sizes:
        lr = _lr_size(image_size, scale, as_lr if item is not None else "hr")
        chosen = checkpoint is not None and expert_shares is None
        choice = _choice(model, item, scale, as_lr, lr) if chosen and item else None
        lines.append(_line(model, name, lr, scale, choice, expert_shares))
    content = {
        "method": method,
        "scale": scale,
        "dataset": dataset,
        "input": AS_LR[as_lr] if dataset else f"one LR image of {size}",
        "network": origin,
        "experts": assumption,
        "images": len(lines),
        **{key: sum(line[key] for line in lines) / len(lines) for key in _KINDS},
        "per_image": lines,
    }
    if as_json:
        print_json(content)
    else:
        _print(content)


_KINDS = (
    "decoder_macs",
    "mapper_macs",
    "estimator_macs",
    "kernel_macs",
    "executed_macs",
    "encoder_macs",
    "total_macs",
)


def _network(method: str, checkpoint: Path | None, device: torch.device) -> tuple[SRModel, str]:
    """The network, and where it comes from."""
    from baselines import build
    from baselines.shapes import shapes_only
    from harness.checkpoints.subject import open_subject

    if checkpoint is not None:
        subject = open_subject(checkpoint, device, method)
        return subject.model, subject.origin
    with shapes_only():
        return build(method).eval(), "the paper's sizes"


def _shares(
    model: SRModel, shares: str | None, checkpoint: Path | None, dataset: str | None
) -> tuple[list[float] | None, str]:
    """Assumed shares, and how the report words them; a guess is never made silently."""
    from harness.common.errors import UsageError

    experts = model.expert_count
    if experts == 1:
        if shares is not None:
            raise UsageError("This method has no experts; leave out --shares.")
        return None, "none"
    if checkpoint is not None and dataset is not None and shares is None:
        return None, f"chosen by {checkpoint.name}"
    if shares is None and not model.needs_choice:
        return None, "ASSUMED the dearest in every layer; no image costs more"
    if shares is None:
        raise UsageError(
            f"The work of {experts} experts depends on which are chosen. Name a trained network "
            "(--checkpoint, with --dataset), or assume shares (--shares even)."
        )
    try:
        values = [1 / experts] * experts if shares == "even" else [*map(float, shares.split(","))]
    except ValueError:
        raise UsageError(f"--shares takes 'even' or numbers, not '{shares}'.") from None
    if len(values) != experts or not min(values) >= 0 or not abs(sum(values) - 1) <= 1e-6:
        raise UsageError(f"--shares needs {experts} numbers from 0 up that sum to 1.")
    return values, "ASSUMED shares " + ", ".join(f"{v:.4g}" for v in values)


def _lr_size(size: tuple[int, int], scale: float, as_lr: str) -> tuple[int, int]:
    from harness.data.degrade import lr_size

    if as_lr == "hr":
        return size
    h, w = lr_size(size, scale)
    return max(1, h), max(1, w)


def _choice(
    model: SRModel, item: ImageItem, scale: float, as_lr: str, lr_size: tuple[int, int]
) -> Tensor | None:
    """Expert of each LR pixel, or layer, that a trained network chooses."""
    from harness.common.progress import say
    from harness.data.degrade import make_pair, unit
    from harness.upscale.network import expert_map, upscale

    if model.expert_count == 1:
        return None
    say(f"{item.name} {lr_size[1]}x{lr_size[0]}")
    hr = item.load()
    lr = hr if as_lr == "hr" else make_pair(item, hr, scale, None).lr
    if model.needs_choice:
        return expert_map(model, unit(lr)[None])
    chosen: Tensor = upscale(model, unit(lr)[None], scale).choice
    return chosen


def _line(
    model: SRModel,
    name: str,
    lr_size: tuple[int, int],
    scale: float,
    choice: Tensor | None,
    shares: list[float] | None,
) -> dict[str, Any]:
    hr_size = (round(lr_size[0] * scale), round(lr_size[1] * scale))
    macs = model.count(lr_size, hr_size, choice, shares)
    return {
        "image": name,
        "lr_size": list(lr_size),
        "hr_size": list(hr_size),
        "decoder_macs": macs.decoder,
        "mapper_macs": macs.mapper,
        "estimator_macs": macs.estimator,
        "kernel_macs": macs.kernels,
        "executed_macs": macs.executed,
        "encoder_macs": macs.encoder,
        "total_macs": macs.total,
        "expert_shares": list(macs.shares),
    }


def _print(content: dict[str, Any]) -> None:
    where = f" {content['dataset']}, {content['images']} images" if content["dataset"] else ""
    echo(f"{content['method']} x{content['scale']:g}{where}: {content['input']}")
    echo(f"network: {content['network']}")
    if content["experts"] != "none":
        echo(f"experts: {content['experts']}")
    echo("mean multiply-adds per image (the paper prints them as FLOPs):")
    names = {
        "decoder_macs": "decoder, as the paper counts it",
        "mapper_macs": "  of these, mapper",
        "estimator_macs": "estimator (LTE, Meta-SR), not in the paper's count",
        "kernel_macs": "kernels (IGConv), once for all images of a scale",
        "executed_macs": "executed by the engine for decoder and estimator",
        "encoder_macs": "encoder (a fixed-scale network as a whole)",
        "total_macs": "all of one call, kernels included",
    }
    for key, name in names.items():
        echo(f"  {name:<50}{content[key] / 1e9:>16,.2f} G")
