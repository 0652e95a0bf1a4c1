"""`harness methods`: what can be named."""

from __future__ import annotations

import click

from harness.commands.options import echo, json_option, print_json


@click.command(epilog="Example: harness methods --json")
@json_option
def methods(as_json: bool) -> None:
    """List every method with its size at the paper's settings."""
    from functools import cache

    from tabulate import tabulate

    from baselines import build, parse
    from baselines import methods as names
    from baselines.registry import ENCODERS, ablations
    from baselines.shapes import shapes_only
    from harness.experiments.published import label

    lines = []
    # The encoders are most of the networks, and the same under every decoder.
    encoders = {name: cache(make) for name, make in ENCODERS.items()}
    for name in names():
        with shapes_only():
            model = build(name, encoders=encoders)
        scales = model.scales
        experts = model.expert_count
        line: dict[str, object] = {
            "method": name,
            "paper": label(name),
            "scales": "any" if scales is None else " ".join(map(str, scales)),
            "parameters": sum(p.numel() for p in model.parameters()),
            "experts": experts if experts > 1 else 0,
            "least_macs_per_latent_query": 0,
            "most_macs_per_latent_query": 0,
            "suffixes": " ".join(f"-{a.form}" for a in ablations(parse(name))),
        }
        if model.expert_macs:
            line["least_macs_per_latent_query"] = min(model.expert_macs)
            line["most_macs_per_latent_query"] = max(model.expert_macs)
        lines.append(line)
    if as_json:
        print_json(lines)
    else:
        echo(tabulate(lines, headers="keys", tablefmt="simple", intfmt=","))
        echo("\nSuffixes, as in rdn-liif-3layer:")
        for form, about in {a.form: a.about for n in names() for a in ablations(parse(n))}.items():
            echo(f"  -{form:<8}{about}")
