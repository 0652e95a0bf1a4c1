"""Steps per second of training, ours against the plain way.

The plain way makes samples with Pillow one by one in a DataLoader, decodes with `ImplicitSR.decode`
and steps a default Adam. Ours is what `harness train` does. Both train the same network, from the
same weights, at the same batch. They share a process, and with it the way it keeps memory
(`harness.common.device`), from which the plain way benefits too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click
import torch

from baselines import build, parse
from baselines.systems.implicit import ImplicitSR
from benchmarks.pillow_samples import PlainSamples, plain_loader
from harness.commands.options import Setup, json_option, methods_option, show, table, with_setup
from harness.common.device import keep_freed_memory
from harness.common.errors import UsageError
from harness.common.progress import bar
from harness.data.sets import Dataset
from harness.measure.machine import in_words, machine, matrix_product_speed
from harness.measure.timing import Times, alternate
from harness.profiles import Profile, Training
from harness.training.losses import compiled, losses, total_loss
from harness.training.patches import Batch, PatchSource
from harness.training.step import State, make_optimizer, optimise
from harness.upscale.network import autocast

METHODS = (
    *("edsr-liif", "edsr-moeisr-liif-s", "edsr-moeisr-liif-b"),
    *("edsr-lte", "edsr-moeisr-lte-s"),
)
_ENDLESS = 2**40
_WARM_UP = 2


@dataclass(frozen=True)
class Setting:
    """Settings of the timing.

    Attributes:
        data: the images, at least as large as the profile's largest HR crop.
        steps: number of timed steps of each way.
        workers: number of processes of the plain way's DataLoader.
    """

    profile: Profile
    data: Dataset
    device: torch.device
    steps: int
    workers: int

    def training(self, method: str) -> Training:
        """Return the method's schedule."""
        return self.profile.training.for_method(parse(method))

    def network(self, method: str) -> ImplicitSR:
        """Make the untrained network that both ways start from."""
        torch.manual_seed(0)
        model = build(method, **self.profile.networks.options(parse(method)))
        if not isinstance(model, ImplicitSR):
            raise UsageError(f"{method} decodes nothing; name an arbitrary-scale method.")
        return model.to(self.device).train()


def _fast(setting: Setting, method: str) -> Callable[[], None]:
    settings, model = setting.training(method), setting.network(method)
    source = PatchSource(setting.data, settings, 0, setting.device)
    state = State(model, make_optimizer(model, settings))
    objective = compiled(losses) if settings.compile else losses

    def step() -> None:
        optimise(state, source.batch(state.step), settings, settings.lr, state.step, objective)
        state.step += 1

    return step


def _plain(setting: Setting, method: str) -> Callable[[], None]:
    settings, model = setting.training(method), setting.network(method)
    images = [item.load() for item in setting.data.items]
    batches = iter(plain_loader(PlainSamples(images, settings, 0, _ENDLESS), setting.workers))
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.lr, betas=settings.betas)

    def step() -> None:
        batch: Batch = next(batches).to(setting.device)
        with autocast(setting.device, settings.precision):
            features = model.encode(batch.lr)
            rgb = model.decode(features, batch.coord, batch.cell)
            l1 = (rgb.float() - batch.target).abs().mean()
            loss = total_loss(l1, features.routing, settings, None)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def spared_macs(model: ImplicitSR, pixels: int, pairs: int) -> int:
    """Count the MACs that sharing saves in training a network (in training mode).

    `pairs` are latent codes of all queries, which the plain way takes through every layer.
    """
    mlps = model.head.mixable_mlps() or ()
    return sum(model.decoder.split([mlp]).macs().code for mlp in mlps) * max(pairs - pixels, 0)


def _record(setting: Setting, method: str, times: Times, speed: float | None) -> dict[str, Any]:
    """Make a result; `speed` is the device's MACs per second in bf16, None on a CPU."""
    settings, model = setting.training(method), setting.network(method)
    plain = model.training_macs(settings.patch, settings.queries, settings.scales, settings.batch)
    codes = 4 if model.ensemble else 1
    left = plain - spared_macs(model, settings.patch**2, codes * settings.queries)
    macs = 3 * settings.batch * left  # a backward pass counts as two forward passes
    fast = times.rate("fast")
    return {
        "method": method,
        "steps_per_second": {"plain": vars(times.rate("plain")), "fast": vars(fast)},
        "ratio": vars(times.ratio("plain", "fast")),
        "ratio_of_multiply_adds": plain / left,
        "multiply_adds_per_step": macs,
        "share_of_bf16_matrix_product_peak": None if speed is None else macs * fast.median / speed,
    }


def time_training(setting: Setting, methods: Sequence[str]) -> list[dict[str, Any]]:
    """Time methods one after the other, each with interleaved runs of both ways."""
    for method in methods:
        if not parse(method).decoder:
            raise UsageError(f"{method} decodes nothing; name an arbitrary-scale method.")
    keep_freed_memory()
    on_gpu = setting.device.type == "cuda"
    speed = matrix_product_speed(setting.device, dtype=torch.bfloat16) if on_gpu else None
    found = []
    with bar("timing", len(methods) * (setting.steps + _WARM_UP)) as progress:
        for method in methods:
            progress.note = method
            work = {"plain": _plain(setting, method), "fast": _fast(setting, method)}
            times = alternate(work, setting.steps, setting.device, _WARM_UP, progress.advance)
            found.append(_record(setting, method, times, speed))
    return found


@click.command(epilog="Example: python -m benchmarks train --profile paper --steps 5")
@methods_option(help="Default: EDSR with LIIF, LTE, MoEISR of both.")
@with_setup("profile", "device")
@click.option("--steps", type=click.IntRange(1), default=10, show_default=True, help="Timed steps.")
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Processes that make the plain way's samples; 0: the training process.",
)
@json_option
def train(methods: list[str], setup: Setup, steps: int, workers: int) -> None:
    """Steps per second of training, against Pillow's patches in a DataLoader and a plain decode.

    Networks, batch and patches are those of the profile; the images are the photographs that ship
    inside scikit-image, so no data is needed. Both ways take steps in turns.
    """
    profile, here = setup.profile, machine(setup.device)
    setting = Setting(profile, setup.dataset("embedded-train"), setup.device, steps, workers)
    found = time_training(setting, methods or METHODS)
    content = {
        "schema": 1,
        "bench": "train",
        "profile": profile.name,
        "steps": steps,
        "workers": workers,
        "machine": here,
        "methods": found,
    }
    head = f"{in_words(here)}\nprofile {profile.name}, {steps} steps in turns\n"
    show(content, head + table(map(_row, found)))


def _row(found: dict[str, Any]) -> dict[str, str]:
    plain, fast = (found["steps_per_second"][way] for way in ("plain", "fast"))
    share = found["share_of_bf16_matrix_product_peak"]
    return {
        "method": found["method"],
        "plain, steps/s": f"{plain['median']:.3g}",
        "ours, steps/s": f"{fast['median']:.3g}",
        "quartiles": "{low:.3g} to {high:.3g}".format(**fast),
        "times as fast": f"{found['ratio']['median']:.2f}",
        "quartiles ": "{low:.2f} to {high:.2f}".format(**found["ratio"]),
        "by multiply-adds": f"{found['ratio_of_multiply_adds']:.2f}",
        **({} if share is None else {"of the bf16 peak": f"{100 * share:.1f} %"}),
    }
