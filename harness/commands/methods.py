"""`harness methods`: what can be named."""

from __future__ import annotations

import click

from harness.commands.options import json_option, show, table

# Columns of the table, by the keys of JSON.
_COLUMNS = {
    "method": "method",
    "paper": "in tables",
    "scales": "scales",
    "parameters": "parameters",
    "experts": "experts",
    "least_macs_per_latent_query": "least MACs",
    "most_macs_per_latent_query": "most MACs",
    "suffixes": "suffixes",
}


@click.command(epilog="Example: harness methods --json")
@json_option
def methods() -> None:
    """List every method with its size at the paper's settings, and the networks that are shipped.

    A shipped network is named by --checkpoint reference:NAME, in Python by
    load_model("reference:NAME").
    """
    from functools import cache

    from baselines import build, parse
    from baselines import methods as names
    from baselines.registry import ENCODERS, ablations
    from baselines.shapes import shapes_only
    from harness.checkpoints import reference
    from harness.data.published import label

    lines, suffixes = [], {}
    shipped = [reference.about(name) for name in reference.names()]
    # The encoders are most of the networks, and the same under every decoder.
    encoders = {name: cache(make) for name, make in ENCODERS.items()}
    for name in names():
        with shapes_only():
            model = build(name, encoders=encoders)
        changes = ablations(parse(name))
        suffixes.update({change.form: change.about for change in changes})
        lines.append(
            {
                "method": name,
                "paper": label(name),
                "scales": "any" if model.scales is None else " ".join(map(str, model.scales)),
                "parameters": sum(p.numel() for p in model.parameters()),
                "experts": model.expert_count if model.expert_count > 1 else 0,
                "least_macs_per_latent_query": min(model.expert_macs, default=0),
                "most_macs_per_latent_query": max(model.expert_macs, default=0),
                "suffixes": " ".join(f"-{change.form}" for change in changes),
                "shipped": " ".join(each.name for each in shipped if each.method == name),
            }
        )
    with shapes_only():
        sizes = [build(each.method, **each.content["build"]).parameter_count for each in shipped]
    listed = "\n".join(f"  -{form:<8}{about}" for form, about in suffixes.items())
    networks = "\n".join(
        f"  reference:{each.name}: {each.in_words()}; {size:,} parameters"
        for each, size in zip(shipped, sizes, strict=True)
    )
    rows = [{title: line[key] for key, title in _COLUMNS.items()} for line in lines]
    text = "Networks of the paper's sizes; those that are shipped (below) are smaller.\n"
    text += "MACs are those of one latent code of one query.\n\n"
    text += table(rows, intfmt=",", disable_numparse=False)
    text += f"\n\nSuffixes, as in rdn-liif-3layer:\n{listed}"
    show(lines, f"{text}\n\nShipped, for --checkpoint:\n{networks or '  none'}")
