"""Steps per second of training, ours against the plain way.

The plain way makes samples with Pillow one by one in a DataLoader, decodes with `ImplicitSR.decode`
and steps a default Adam. Ours is what `harness train` does. Both train the same network, from the
same weights, at the same batch. They share a process, and with it the way it keeps memory
(`harness.common.allocator`), from which the plain way benefits too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from baselines import build, parse
from baselines.systems.implicit import ImplicitSR
from harness.common.allocator import keep_freed_memory
from harness.common.errors import UsageError
from harness.common.progress import bar
from harness.data.sets import Dataset
from harness.profiles import Profile, Training
from harness.profiling.bench.pillow_training import PlainSamples, plain_loader
from harness.profiling.machine import matrix_product_speed
from harness.profiling.timing import Spread, Times, alternate
from harness.training.losses import compiled, losses, total_loss
from harness.training.patches import Batch, PatchSource
from harness.training.step import State, make_optimizer, optimise
from harness.upscale.network import autocast

METHODS = (
    "edsr-liif",
    "edsr-moeisr-liif-s",
    "edsr-moeisr-liif-b",
    "edsr-lte",
    "edsr-moeisr-lte-s",
)
_ENDLESS = 2**40


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


def _network(setting: Setting, method: str) -> ImplicitSR:
    torch.manual_seed(0)
    model = build(method, **setting.profile.networks.options(parse(method)))
    if not isinstance(model, ImplicitSR):
        raise UsageError(f"{method} decodes nothing; name an arbitrary-scale method.")
    return model.to(setting.device).train()


def _fast(setting: Setting, method: str) -> Callable[[], None]:
    settings = setting.training(method)
    model = _network(setting, method)
    source = PatchSource(setting.data, settings, 0, setting.device)
    state = State(model, make_optimizer(model, settings))
    objective = compiled(losses) if settings.compile else losses

    def step() -> None:
        optimise(state, source.batch(state.step), settings, settings.lr, state.step, objective)
        state.step += 1

    return step


def _plain(setting: Setting, method: str) -> Callable[[], None]:
    settings = setting.training(method)
    model = _network(setting, method)
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


@dataclass(frozen=True)
class Result:
    """Timing of one method.

    Attributes:
        plain: steps per second of the plain way.
        fast: steps per second of ours.
        ratio: speed of ours over the plain way's.
        promised: that ratio if only MACs took time, encoder included.
        macs: MACs of our step, forward and backward.
        peak: share of the device's bf16 matrix product speed that our step reaches; None on a CPU.
    """

    method: str
    plain: Spread
    fast: Spread
    ratio: Spread
    promised: float
    macs: int
    peak: float | None

    @staticmethod
    def of(setting: Setting, method: str, times: Times, speed: float | None) -> Result:
        """Make a result from times named "plain" and "fast", and MACs per second."""
        settings = setting.training(method)
        model = _network(setting, method)
        plain = model.training_macs(
            settings.patch, settings.queries, settings.scales, settings.batch
        )
        codes = 4 if model.ensemble else 1
        spared = spared_macs(model, settings.patch**2, codes * settings.queries)
        macs = 3 * settings.batch * (plain - spared)
        fast = times.rate("fast")
        return Result(
            method,
            times.rate("plain"),
            fast,
            times.ratio("plain", "fast"),
            plain / (plain - spared),
            macs,
            None if speed is None else macs * fast.median / speed,
        )

    def content(self) -> dict[str, Any]:
        """Return the values for JSON."""
        return {
            "method": self.method,
            "steps_per_second": {"plain": vars(self.plain), "fast": vars(self.fast)},
            "ratio": vars(self.ratio),
            "ratio_of_multiply_adds": self.promised,
            "multiply_adds_per_step": self.macs,
            "share_of_bf16_matrix_product_peak": self.peak,
        }


def spared_macs(model: ImplicitSR, pixels: int, pairs: int) -> int:
    """Multiply-adds that sharing saves in training.

    Args:
        model: in training mode.
        pixels: LR pixels.
        pairs: latent codes of all queries, which the plain way takes through every layer.
    """
    mlps = model.head.mixed() or ()
    return sum(model.decoder.split([mlp]).macs().code for mlp in mlps) * max(pairs - pixels, 0)


def time_training(setting: Setting, methods: Sequence[str]) -> list[Result]:
    """Time methods one after the other, each with interleaved runs of both ways.

    Raises:
        UsageError: a method has no decoder.
        HarnessError: images are too small for the profile's patches.
    """
    for method in methods:
        if not parse(method).decoder:
            raise UsageError(f"{method} decodes nothing; name an arbitrary-scale method.")
    keep_freed_memory()
    on_gpu = setting.device.type == "cuda"
    speed = matrix_product_speed(setting.device, dtype=torch.bfloat16) if on_gpu else None
    warm_up = 2
    results = []
    with bar("timing", len(methods) * (setting.steps + warm_up)) as progress:
        for method in methods:
            progress.note = method
            work = {"plain": _plain(setting, method), "fast": _fast(setting, method)}
            times = alternate(work, setting.steps, setting.device, warm_up, progress.advance)
            results.append(Result.of(setting, method, times, speed))
    return results
