"""`harness flops`: multiply-adds without running the decoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands import options
from harness.common.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from baselines.base import SRModel
    from harness.checkpoints.subject import Subject
    from harness.data.sets import ImageItem

AS_LR = {
    "hr": "the HR images are the LR input, as in the paper's Table 3",
    "lr": "the LR input is the HR image divided by the scale, as in the paper's Table 4",
}
# Mean counts, each with the attribute of `MacCount` and what it is called.
COUNTS = {
    "decoder_macs": ("decoder", "decoder, as the paper counts it"),
    "mapper_macs": ("mapper", "  of these, mapper"),
    "estimator_macs": ("estimator", "estimator (LTE, Meta-SR), not in the paper's count"),
    "kernel_macs": ("kernels", "kernels (IGConv), once for all images of a scale"),
    "executed_macs": ("executed", "executed by the engine for decoder and estimator"),
    "encoder_macs": ("encoder", "encoder (a fixed-scale network as a whole)"),
    "total_macs": ("total", "all of one call, kernels included"),
}


@click.command(
    epilog="Example: harness flops edsr-liif --dataset Set14 --scale 30 --data-root ~/data",
    no_args_is_help=True,
)
@click.argument("method")
@click.option("--scale", type=options.scale_factor, required=True)
@click.option("--dataset", help="Count for every image of a dataset.")
@click.option(
    "--size",
    type=options.pixels,
    metavar="HEIGHTxWIDTH",
    help=f"Count for one LR image of this size instead; {options.EITHER_ORDER}",
)
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
    type=options.INPUT,
    help="MoEISR, SeemoRe, with --dataset: count the experts that this network chooses.",
)
@options.with_setup("data_root", "device")
@options.json_option
def flops(
    method: str,
    scale: float,
    dataset: str | None,
    size: tuple[int, int] | None,
    as_lr: str,
    shares: str | None,
    checkpoint: Path | None,
    setup: options.Setup,
) -> None:
    """Multiply-adds of METHOD at the paper's network sizes (or of a checkpoint).

    "Decoder" is what the paper calls the decoder's FLOPs: every query through its expert's whole
    MLP, and the mapper. LTE's amplitude, frequency and phase layers, which the paper leaves out,
    are listed as "estimator". Of IGConv the decoder is what its kernels do for every LR pixel; the
    network that makes them, once for a scale, is listed as "kernels".
    """
    from baselines import build
    from baselines.shapes import shapes_only
    from harness.checkpoints.subject import Subject, open_subject
    from harness.data.degrade import lr_size
    from harness.data.sets import check_name

    if (dataset is None) == (size is None):
        raise UsageError("Give either --dataset or --size.")
    if checkpoint is not None:
        subject = open_subject(checkpoint, setup.device, method)
    else:
        with shapes_only():
            model = build(method).eval()
        subject = Subject(method, model, setup.device, origin="the paper's sizes")
    model = subject.model
    reason = model.refusal(scale)
    if reason:
        raise UsageError(f"{method} {reason}.")
    expert_shares, assumption = _shares(model, shares, checkpoint, dataset)
    lines = []
    if size is not None:
        lines.append(_line(model, "", size, scale, None, expert_shares))
    if dataset is not None:
        for item in setup.dataset(check_name(dataset)).items:
            h, w = item.size() if as_lr == "hr" else lr_size(item.size(), scale)
            lr = max(1, h), max(1, w)
            chosen = checkpoint is not None and expert_shares is None and model.expert_count > 1
            choice = _choice(subject, item, scale, as_lr) if chosen else None
            lines.append(_line(model, item.name, lr, scale, choice, expert_shares))
    content = {
        "method": method,
        "scale": scale,
        "dataset": dataset,
        "input": "one LR image of height {} and width {}".format(*size) if size else AS_LR[as_lr],
        "network": subject.origin,
        "experts": assumption,
        "images": len(lines),
        **{key: sum(line[key] for line in lines) / len(lines) for key in COUNTS},
        "per_image": lines,
    }
    options.show(content, _in_words(content))


def _shares(
    model: SRModel, shares: str | None, checkpoint: Path | None, dataset: str | None
) -> tuple[list[float] | None, str]:
    """Assumed shares, and how the report words them; a guess is never made silently."""
    experts = model.expert_count
    if experts == 1:
        if shares is not None:
            raise UsageError("This method has no experts; leave out --shares.")
        return None, "none"
    if shares is None:
        if checkpoint is not None and dataset is not None:
            return None, f"chosen by {checkpoint.name}"
        if not model.needs_choice:
            return None, "ASSUMED the dearest in every layer; no image costs more"
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


def _choice(subject: Subject, item: ImageItem, scale: float, as_lr: str) -> Tensor | None:
    """Expert of each LR pixel, or layer, that a trained network chooses."""
    from harness.checkpoints.cmsr_table import prepared
    from harness.common.progress import say
    from harness.data.degrade import make_pair, unit
    from harness.upscale.network import expert_map, upscale

    model = prepared(subject, scale, None)
    hr = item.load()
    lr = unit(hr if as_lr == "hr" else make_pair(item, hr, scale, None).lr)[None]
    say(f"{item.name} {lr.shape[-1]}x{lr.shape[-2]}")
    return expert_map(model, lr) if model.needs_choice else upscale(model, lr, scale).choice


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
        **{key: getattr(macs, attribute) for key, (attribute, _) in COUNTS.items()},
        "expert_shares": list(macs.shares),
    }


def _in_words(content: dict[str, Any]) -> str:
    where = f" {content['dataset']}, {content['images']} images" if content["dataset"] else ""
    experts = f"\nexperts: {content['experts']}" if content["experts"] != "none" else ""
    return "\n".join(
        [
            f"{content['method']} x{content['scale']:g}{where}: {content['input']}",
            f"network: {content['network']}{experts}",
            "mean multiply-adds per image (the paper prints them as FLOPs):",
            *(f"  {words:<50}{content[key] / 1e9:>16,.2f} G" for key, (_, words) in COUNTS.items()),
        ]
    )
