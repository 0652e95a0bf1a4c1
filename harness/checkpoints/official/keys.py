"""Translation between the names of weights in official files and in our networks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Keys:
    """Pairs of (official, our) beginnings of keys; `{}` stands for a number.

    The first pair that fits translates a key, in either direction; what follows the beginning
    (`.weight`, `.0.bias`) stays.

    Example:
        >>> keys = Keys((("RDBs.{}.convs.{}.conv.0", "blocks.{}.layers.{}.0"),))
        >>> keys.ours("RDBs.3.convs.1.conv.0.weight")
        'blocks.3.layers.1.0.weight'
        >>> keys.official("blocks.3.layers.1.0.weight")
        'RDBs.3.convs.1.conv.0.weight'
    """

    pairs: tuple[tuple[str, str], ...]

    def ours(self, official: str) -> str | None:
        """Translate an official key to ours; None where no pair fits."""
        found = (_translate(official, theirs, ours) for theirs, ours in self.pairs)
        return next((key for key in found if key is not None), None)

    def official(self, ours: str) -> str | None:
        """Translate one of our keys to the official one; None where no pair fits."""
        found = (_translate(ours, own, theirs) for theirs, own in self.pairs)
        return next((key for key in found if key is not None), None)

    def below(self, official: str, ours: str) -> Keys:
        """Make the same pairs for networks that are parts of others.

        Args:
            official: name of the part in the official network; "" for the whole.
            ours: name of the part in ours.
        """
        return Keys(tuple((_joined(official, a), _joined(ours, b)) for a, b in self.pairs))

    def __add__(self, other: Keys) -> Keys:
        return Keys(self.pairs + other.pairs)


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _translate(key: str, beginning: str, other: str) -> str | None:
    parts, wanted = key.split("."), beginning.split(".")
    if len(parts) < len(wanted):
        return None
    numbers = []
    for part, pattern in zip(parts, wanted, strict=False):
        if pattern == "{}" and part.isdecimal():
            numbers.append(part)
        elif part != pattern:
            return None
    return ".".join([other.format(*numbers), *parts[len(wanted) :]])
