"""What routing costs, and what the experts cost: measures a table of docs/results.md.

    python docs/expert_choices.py --data-root DIR --sets Set5,B100 --scale 2

Makes the SR images of a MoEISR network by its own choice, by each expert alone, by a mixture of
all of them as in training but without noise, and, as a bound that no mapper can reach, by the
expert that is best at each pixel of the HR image. PSNR is the mean over a set's images.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from baselines.composition import Routing
from baselines.plain import decode_plain
from baselines.systems.implicit import ImplicitSR
from harness import metrics
from harness.checkpoints import load_model
from harness.data.degrade import make_pair, unit
from harness.data.sets import find
from harness.upscale.network import upscale
from moeisr.experts import ExpertHead


def head_of(model: ImplicitSR) -> ExpertHead:
    """Return the mapper and experts of a network."""
    if not isinstance(model.head, ExpertHead):
        raise SystemExit("This network has no experts.")
    return model.head


def with_expert(model: ImplicitSR, expert: int) -> ImplicitSR:
    """Copy a network with a mapper that chooses one expert everywhere."""
    twin = copy.deepcopy(model)
    last = head_of(twin).mapper.layers[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()
        last.bias[expert] = 1
    return twin


def mixing(model: ImplicitSR) -> Callable[[Tensor, float, tuple[int, int]], Tensor]:
    """Make SR images of all experts, weighted by the mapper's probabilities (eq. 5, no noise)."""
    twin = copy.deepcopy(model)
    head = head_of(twin)

    def route(latent: Tensor) -> Routing:
        probabilities = head.mapper(latent).softmax(dim=-1)
        return Routing(probabilities, probabilities)

    head.route = route  # type: ignore[method-assign]
    head.training = True

    def run(lr: Tensor, scale: float, size: tuple[int, int]) -> Tensor:
        features = twin.encode(lr * 2 - 1)
        return decode_plain(twin, features, size, stretch=twin.cell_stretch(scale)) / 2 + 0.5

    return run


def main() -> None:
    """Print the table in Markdown: a row for each set and network, a column for each choice."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--sets", default="Set5", help="default: %(default)s")
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument(
        "--networks",
        nargs="*",
        default=["reference:edsr-moeisr-liif-s", "reference:edsr-moeisr-liif-b"],
        help="checkpoints or shipped networks; default: %(default)s",
    )
    given = parser.parse_args()
    header: list[str] = []
    for path in given.networks:
        model = load_model(path)
        assert isinstance(model, ImplicitSR)
        depths = [mlp.depth for mlp in head_of(model).mlps]
        alone = [with_expert(model, j) for j in range(len(depths))]
        mixed = mixing(model)
        names = ["its own choice", *(f"{d} layers" for d in depths), "mixture", "best per pixel"]
        if names != header:
            header = names
            print("\n| set | network | " + " | ".join(names) + " |")
            print("|---" * (len(names) + 2) + "|", flush=True)
        for name in given.sets.split(","):
            dataset = find(name, given.data_root)
            rows: list[list[float]] = []
            for item in dataset.items:
                pair = make_pair(item, item.load(), given.scale, None)
                hr, lr = unit(pair.hr), unit(pair.lr)[None]
                size = (hr.shape[-2], hr.shape[-1])
                made = [upscale(n, lr, given.scale, size).image[0] for n in (model, *alone)]
                made.append(mixed(lr, given.scale, size).clamp(0, 1))
                each = torch.stack(made[1 : 1 + len(alone)])
                errors = (each - hr).square().sum(dim=1, keepdim=True)
                best = errors.argmin(dim=0, keepdim=True).expand(1, *hr.shape)
                made.append(each.gather(0, best)[0])
                protocol = dataset.protocol
                rows.append(
                    [metrics.psnr(x[None], hr[None], protocol, given.scale).item() for x in made]
                )
            means = torch.tensor(rows).mean(dim=0).tolist()
            print(
                f"| {name} | `{path}` | " + " | ".join(f"{x:.2f}" for x in means) + " |", flush=True
            )


if __name__ == "__main__":
    with torch.inference_mode():
        main()
