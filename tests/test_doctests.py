"""The examples in the docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import baselines
import harness
import moeisr

MODULES = [
    module.name
    for package in (baselines, moeisr, harness)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]
WITH_EXAMPLES = {
    *("baselines.registry", "baselines.mlp", "baselines.geometry", "baselines.encoders.edsr"),
    *(
        "moeisr.losses",
        "harness.metrics.psnr",
        "harness.metrics.ssim",
        "harness.flops",
        "harness.data.published",
    ),
}


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
    assert (result.attempted > 0) or name not in WITH_EXAMPLES
