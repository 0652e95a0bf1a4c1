"""Statistics of differences between two networks, paired by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

CONFIDENCE = 0.95
# With fewer images not even a sign test can reach 0.05, and bootstrap intervals are too short.
FEWEST = 6


@dataclass(frozen=True)
class Difference:
    """Mean difference between two networks over images that both were measured on.

    Attributes:
        mean: mean over the sets of each set's mean difference.
        low, high: bootstrap interval of the mean at 95 %; None for a single image.
        images: number of images.
        better, worse: number of images with a positive or a negative difference.
        sign: p-value of the two-sided sign test; equal images are left out.
    """

    mean: float
    low: float | None
    high: float | None
    images: int
    better: int
    worse: int
    sign: float

    @property
    def decided(self) -> bool:
        """Tell whether the interval excludes zero, on enough images to trust it."""
        if self.images < FEWEST or self.low is None or self.high is None:
            return False
        return self.low > 0 or self.high < 0

    def within(self, margin: float) -> bool | None:
        """Tell whether the difference is smaller than a margin; None where that is not decided."""
        if self.images < FEWEST or self.low is None or self.high is None:
            return None
        if -margin <= self.low and self.high <= margin:
            return True
        return False if self.low > margin or self.high < -margin else None


def paired_difference(*sets: Sequence[float], resamples: int = 9999) -> Difference:
    """Average paired differences, with a bias-corrected and accelerated bootstrap interval.

    `sets` are differences of each image, for one or more sets. Images are drawn again within each
    set, so that a large set weighs as much as a small one, as in tables with a mean over sets. The
    interval is about the choice of images: that a network would end elsewhere if it were trained
    again is not in it.

    Example:
        >>> found = paired_difference([0.1, 0.2, 0.1, 0.3, 0.2, 0.1, 0.2])
        >>> f"{found.mean:.3f}, {found.low:.2f} to {found.high:.2f}, sign test {found.sign:.3f}"
        '0.171, 0.11 to 0.24, sign test 0.016'
    """
    samples = [np.asarray(values, dtype=np.float64) for values in sets]
    every = np.concatenate(samples)
    better, worse = int((every > 0).sum()), int((every < 0).sum())
    low, high = _interval(samples, resamples)
    return Difference(
        mean=float(_mean_of_means(*samples)),
        low=low,
        high=high,
        images=len(every),
        better=better,
        worse=worse,
        sign=float(scipy.stats.binomtest(better, better + worse).pvalue) if better + worse else 1.0,
    )


def _mean_of_means(*samples: np.ndarray, axis: int = -1) -> np.ndarray:
    means: np.ndarray = np.mean([sample.mean(axis=axis) for sample in samples], axis=0)
    return means


def _interval(samples: Sequence[np.ndarray], resamples: int) -> tuple[float | None, float | None]:
    if any(len(sample) < 2 for sample in samples):
        return None, None
    if all(np.ptp(sample) == 0 for sample in samples):
        mean = float(_mean_of_means(*samples))
        return mean, mean
    found = scipy.stats.bootstrap(
        samples,
        _mean_of_means,
        n_resamples=resamples,
        confidence_level=_expanded(samples),
        method="BCa",
        vectorized=True,
        rng=np.random.default_rng(0),  # the same numbers give the same interval
    ).confidence_interval
    return float(found.low), float(found.high)


def _expanded(samples: Sequence[np.ndarray]) -> float:
    """Compute the level at which bootstrap intervals of few images hold as often as they say.

    A bootstrap takes a sample's spread for the population's, so its intervals are as short as
    those of the normal distribution with a biased variance. At this level they are as long as
    Student's (Hesterberg, What teachers should know about the bootstrap, 2015, sec. 3.3); for
    several sets, with Welch's degrees of freedom.
    """
    sizes = np.array([len(sample) for sample in samples])
    variances = np.array([sample.var(ddof=1) for sample in samples]) / sizes
    freedom = variances.sum() ** 2 / (variances**2 / (sizes - 1)).sum()
    stretch = np.sqrt(variances.sum() / (variances * (sizes - 1) / sizes).sum())
    tail = scipy.stats.norm.cdf(-stretch * scipy.stats.t.ppf((1 + CONFIDENCE) / 2, freedom))
    return float(1 - 2 * tail)
