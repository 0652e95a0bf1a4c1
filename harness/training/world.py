"""Processes that train one network together (data parallel), each with its share of every batch.

They are started by `harness train --devices N`, by torchrun, or by Slurm's srun. Collectives are
those of lightning-fabric. Gradients are added in one vector, always in the same order: the buckets
of `DistributedDataParallel` are laid out anew after the first step, so a training that was stopped
would go on with other rounding.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar, cast

import torch
from torch import Tensor, nn

from baselines.shared_batch import Part
from harness.common.device import resolve
from harness.common.errors import HarnessError, UsageError, is_shortage
from harness.common.progress import console

if TYPE_CHECKING:
    from lightning_fabric import Fabric

T = TypeVar("T")
# How long processes wait for each other.
PATIENCE = timedelta(days=30)
# A variable that torchrun sets for the processes that it starts.
_TORCHRUN = "TORCHELASTIC_RUN_ID"
# The process that `harness train --devices N` began with, for it and for those that it starts.
_LEADER = "HARNESS_LEADER"


class World:
    """All processes of a training run, as one of them sees them.

    Args:
        fabric: launched fabric; None where this process trains alone.
    """

    def __init__(self, fabric: Fabric | None = None) -> None:
        self._fabric = fabric
        self.rank = fabric.global_rank if fabric else 0
        self.size = fabric.world_size if fabric else 1
        self._part: Part | None = None

    @property
    def leads(self) -> bool:
        """Whether this process writes the checkpoint and the log."""
        return self.rank == 0

    def samples(self, batch: int) -> slice:
        """Return the indices of the own samples of a batch; some have one more where it must be.

        Raises:
            UsageError: there are more processes than samples.

        Example:
            >>> ALONE.samples(16)
            slice(0, 16, None)
        """
        if batch < self.size:
            raise UsageError(
                f"{self.size} devices cannot share a batch of {batch}.",
                f"Take {batch} devices at most; a larger `batch` is another training.",
            )
        return slice(batch * self.rank // self.size, batch * (self.rank + 1) // self.size)

    def part(self, batch: int) -> Part | None:
        """Return the own part of a batch, for networks and losses; None if that is all of it."""
        if self._fabric is None:
            return None
        if self._part is None or self._part.size != batch:  # one object: compiled code knows it
            self._part = Part(batch, self.samples(batch), self.add)
        return self._part

    def add(self, own: Tensor) -> Tensor:
        """Add a tensor to those of the other processes, maybe in place.

        Raises:
            HarnessError: another process has ended.
        """
        if self._fabric is None:
            return own
        with _ended_others():
            return cast(Tensor, self._fabric.all_reduce(own, reduce_op="sum"))

    def add_gradients(self, model: nn.Module) -> None:
        """Add the gradients of all processes; a weight that has none in one of them has zeros."""
        if self._fabric is None:
            return
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        found = [torch.zeros_like(w) if w.grad is None else w.grad for w in trained]
        summed = self.add(torch.cat([each.flatten() for each in found]))
        parts = torch.split(summed, [weight.numel() for weight in trained])
        for weight, gradient, part in zip(trained, found, parts, strict=True):
            weight.grad = gradient.copy_(part.view_as(gradient))

    def any_of(self, asked: bool, device: torch.device) -> bool:
        """Tell whether any process asks for something; waits for all of them."""
        if self._fabric is None:
            return asked
        return bool(self.add(torch.tensor(float(asked), device=device)).item())

    def from_leader(self, make: Callable[[], T]) -> T:
        """Return what the first process makes, in all of them."""
        made = make() if self.leads else None
        if self._fabric is not None:
            with _ended_others():
                made = self._fabric.broadcast(made)
        return cast(T, made)

    def wait(self) -> None:
        """Wait until all processes have come here."""
        self.from_leader(lambda: None)


ALONE = World()


@contextmanager
def _ended_others() -> Iterator[None]:
    """Say that another process has ended, which PyTorch reports in words of its transport."""
    try:
        yield
    except RuntimeError as error:
        if is_shortage(error):
            raise
        reason = str(error).strip().partition("\n")[0]
        raise HarnessError(
            f"Another process of this training has ended ({reason:.200}).",
            "Look for its own message; the same command goes on from the last checkpoint.",
        ) from error


@contextmanager
def joined(devices: int | None, device: torch.device) -> Iterator[tuple[World, torch.device]]:
    """Train with other processes inside a block; without any, alone on the device.

    Args:
        devices: number of processes; None for one, or for those that torchrun or srun has started.
        device: kind of the devices, and the device where there is one process.

    Yields:
        The processes, and the device of this one.

    Raises:
        UsageError: so many devices are not there, or other processes were started.
        HarnessError: the processes do not find each other.
    """
    nodes, here = _started(os.environ)
    if nodes * here == 1:
        here = devices or 1
    elif devices not in (None, nodes * here):
        raise UsageError(
            f"{nodes * here} processes were started for this training, not {devices}.",
            "Leave --devices out: torchrun and srun say how many there are.",
        )
    if nodes * here == 1:
        yield ALONE, device
        return
    _check_devices(device, here)
    others = _start_others(here) if _started(os.environ) == (1, 1) else []
    try:
        with _watching(others):
            fabric = _launched(device.type, here, nodes)
            world = World(fabric)
            # One voice is enough; each process tells its errors.
            console.quiet = not world.leads
            yield world, resolve("cpu" if device.type == "cpu" else str(fabric.device))
    except BaseException:
        for process in others:  # they write nothing, and would wait for this process
            process.kill()
        raise
    finally:
        for process in others:
            process.wait()


def _started(environment: Mapping[str, str]) -> tuple[int, int]:
    """Find out which processes were started from outside: on how many machines, and on each.

    Example:
        >>> _started({"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"})
        (2, 4)
        >>> _started({"SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_NUM_NODES": "1"})
        (1, 8)
        >>> _started({})
        (1, 1)
    """
    if _TORCHRUN in environment:
        here = int(environment["LOCAL_WORLD_SIZE"])
        return int(environment["WORLD_SIZE"]) // here, here
    tasks, nodes = (int(environment.get(f"SLURM_STEP_NUM_{n}", 1)) for n in ("TASKS", "NODES"))
    return nodes, tasks // nodes


def _check_devices(device: torch.device, wanted: int) -> None:
    if device.type == "cuda" and device.index is not None:
        raise UsageError(f"{device} is one device, not {wanted}. Use --device cuda or auto.")
    if device.type == "cuda" and torch.cuda.device_count() < wanted:
        raise UsageError(f"There are {torch.cuda.device_count()} CUDA devices here, not {wanted}.")


def _start_others(count: int) -> list[subprocess.Popen[bytes]]:
    """Start this command once more for each further device, in an environment as torchrun makes."""
    from lightning_fabric.plugins.environments.lightning import find_free_network_port

    own = {_TORCHRUN: "harness", "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    own |= {_LEADER: str(os.getpid())}
    own |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(find_free_network_port())}
    environments = [{**own, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]
    command = [sys.executable, "-m", "harness", *sys.argv[1:]]
    others = [
        subprocess.Popen(command, env={**os.environ, **each}, stdout=subprocess.DEVNULL)
        for each in environments[1:]
    ]
    os.environ.update(environments[0])
    return others


def _launched(kind: str, here: int, nodes: int) -> Fabric:
    """Connect with the other processes."""
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    made_by = TorchElasticEnvironment if _TORCHRUN in os.environ else SLURMEnvironment
    try:
        environment = made_by()
    except RuntimeError as error:  # of options of srun that do not say how many are on a machine
        raise UsageError(str(error)) from error
    # The first process may wait for another training of the same run, or validate for long.
    fabric = Fabric(
        accelerator=kind,
        devices=here,
        num_nodes=nodes,
        strategy=DDPStrategy(timeout=PATIENCE),
        plugins=[environment],
    )
    with _ended_others():
        fabric.launch()
    return fabric


@contextmanager
def _watching(others: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """End this process where another has ended that was started with it, and it waits in vain.

    Gloo tells of that at once. Nothing does before all processes have met, and NCCL may be late.
    What is stored is whole, as after any kill.
    """
    over = threading.Event()
    # It may have ended before this process has come here.
    leader = int(os.environ.get(_LEADER, os.getpid()))

    def watch() -> None:
        while not over.wait(1):
            lost = leader not in (os.getpid(), os.getppid())
            if (lost or any(process.poll() for process in others)) and not over.wait(10):
                print("Error: Another process of this training has ended.", file=sys.stderr)
                os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        over.set()
