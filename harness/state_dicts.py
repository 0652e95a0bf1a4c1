"""Loading weights that must fit exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from harness.errors import HarnessError

_SHOWN = 20


def load_strictly(
    network: nn.Module,
    state: Mapping[str, Tensor],
    what: str,
    extra: Sequence[str] = (),
    name: Callable[[str], str] = str,
) -> None:
    """Load a state dict that must fit exactly.

    Args:
        network: receives the weights.
        state: by our names.
        what: the file, for the message.
        extra: names in the file that nothing of ours answers to.
        name: of a key in the file, where that has names of its own.

    Raises:
        HarnessError: listing missing keys, unexpected keys, wrong shapes and types, and values
            that are not finite.
    """
    wanted = network.state_dict()
    problems = [f"unexpected {key}" for key in extra]
    problems += [f"unexpected {name(key)}" for key in state if key not in wanted]
    problems += [f"missing {name(key)}" for key in wanted if key not in state]
    problems += [
        f"{name(key)} has shape {tuple(value.shape)}, the network {tuple(wanted[key].shape)}"
        for key, value in state.items()
        if key in wanted and value.shape != wanted[key].shape
    ]
    problems += [
        f"{name(key)} holds values that are not finite"
        for key, value in state.items()
        if value.is_floating_point() and not bool(value.isfinite().all())
    ]
    problems += [
        f"{name(key)} holds {value.dtype}, not floating point"
        for key, value in state.items()
        if key in wanted and wanted[key].is_floating_point() and not value.is_floating_point()
    ]
    if problems:
        shown = "\n  ".join(problems[:_SHOWN]) + ("\n  ..." if len(problems) > _SHOWN else "")
        raise HarnessError(f"The {what} does not fit ({len(problems)} problems):\n  {shown}")
    network.load_state_dict(dict(state))
