"""Documents for the tests of the page, from real rows and with hostile names."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from harness.report.model import Document, Entry, Figure, Section, Table, Verdict

LABELS = {
    "bicubic": "bicubic",
    "edsr-liif": "EDSR-LIIF",
    "edsr-moeisr-liif-s": "EDSR-MoEISR(LIIF)-s",
    "edsr-moeisr-liif-b": "EDSR-MoEISR(LIIF)-b",
}
BASELINE = "edsr-liif"
REFERENCE = Path(__file__).parents[1] / "results" / "reference" / "measurements"


def stored_rows(folder: Path = REFERENCE) -> pd.DataFrame:
    """Rows of the first seed, one for each image."""
    files = sorted(folder.glob("*/x*/*.s0.*.jsonl"))
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    frame = pd.DataFrame([row for row in rows if row["role"] != "costs"])
    frame["psnr"] = [metrics["psnr"] for metrics in frame["metrics"]]
    frame["decoder"] = [macs["decoder"] for macs in frame["macs"]]
    frame["executed"] = [macs["executed"] for macs in frame["macs"]]
    return frame[frame["method"].isin(LABELS)]


def _interval(values: pd.Series) -> tuple[float, float]:
    half = 1.96 * values.std() / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return values.mean() - half, values.mean() + half


def _columns(scales: Iterable[float]) -> tuple[tuple[str, str], ...]:
    return tuple(("in-scale" if s <= 4 else "out-of-scale", f"x{s:g}") for s in scales)


def psnr_table(rows: pd.DataFrame, dataset: str) -> Table:
    """PSNR of a dataset."""
    own = rows[rows["dataset"] == dataset]
    scales = sorted(own["scale"].unique())
    means = own.pivot_table(index="method", columns="scale", values="psnr")

    def entry(name: str, scale: float) -> Entry:
        here = own[(own["method"] == name) & (own["scale"] == scale)]
        by_image = here.set_index("image")["psnr"]
        base = own[(own["method"] == BASELINE) & (own["scale"] == scale)]
        low, high = _interval(by_image)
        gap = (by_image - base.set_index("image")["psnr"]).mean()
        place = means[scale].drop("bicubic").rank(ascending=False).get(name)
        return Entry(
            f"{by_image.mean():.2f}",
            detail=f"{by_image.mean():.4f} dB, 95 % interval over {len(by_image)} images "
            f"[{low:.2f}, {high:.2f}]\nto EDSR-LIIF: {gap:+.3f} dB",
            mark={1: "best", 2: "second"}.get(place, ""),
        )

    made = [(label, tuple(entry(name, s) for s in scales)) for name, label in LABELS.items()]
    return Table(
        key=f"psnr-{dataset}",
        title=f"PSNR (dB) on {dataset}",
        caption="Mean over images.",
        columns=_columns(scales),
        blocks=(tuple(made[:1]), tuple(made[1:])),
        notes=("LR images up to x4: MATLAB's bicubic; above: Pillow's.",),
        role=dataset,
    )


def macs_table(rows: pd.DataFrame, dataset: str) -> Table:
    """MACs of a dataset."""
    own = rows[(rows["dataset"] == dataset) & (rows["method"] != "bicubic")]
    means = own.pivot_table(index="method", columns="scale", values="decoder") / 1e9
    made = [
        (LABELS[str(name)], tuple(Entry(f"{value:.1f}G") for value in row))
        for name, row in zip(means.index, means.to_numpy(), strict=True)
    ]
    columns = tuple(("", f"x{s:g}") for s in means.columns)
    title, caption = "Decoder MACs", "Counted as in the paper."
    return Table(f"macs-{dataset}", title, caption, columns, (tuple(made),))


def over_scale(rows: pd.DataFrame, dataset: str) -> Figure:
    """PSNR over scale, and differences to the baseline with intervals."""
    own = rows[rows["dataset"] == dataset]
    points: list[dict[str, Any]] = []
    for (name, scale), here in own.groupby(["method", "scale"]):
        about = {"method": name, "label": LABELS[name], "x": scale}
        points.append({**about, "y": here["psnr"].mean(), "panel": "PSNR (dB)"})
        base = own[(own["method"] == BASELINE) & (own["scale"] == scale)].set_index("image")
        gaps = here.set_index("image")["psnr"] - base["psnr"]
        if name not in ("bicubic", BASELINE):
            low, high = _interval(gaps)
            points.append(
                {**about, "y": gaps.mean(), "low": low, "high": high, "panel": "to EDSR-LIIF (dB)"}
            )
    title = f"PSNR over scale, {dataset}"
    return Figure(
        f"over_scale_{dataset}", title, "Mean over images.", Path(), Path(), pd.DataFrame(points)
    )


def over_macs(rows: pd.DataFrame, dataset: str) -> Figure:
    """PSNR over MACs, a panel for each scale."""
    own = rows[(rows["dataset"] == dataset) & (rows["method"] != "bicubic")]
    points = [
        {
            "method": name,
            "label": LABELS[name],
            "panel": f"x{scale:g}",
            "kind": count,
            "x": here[column].mean(),
            "y": here["psnr"].mean(),
        }
        for (name, scale), here in own.groupby(["method", "scale"])
        for count, column in (("counted as in the papers", "decoder"), ("executed", "executed"))
        if scale in (2, 4, 12)
    ]
    data = pd.DataFrame(points)
    data.attrs = {"x": "MACs per image", "axis": "log"}
    return Figure(
        f"over_macs_{dataset}",
        f"PSNR over decoder MACs, {dataset}",
        "Hollow: counted as in the paper; filled: executed.",
        Path(),
        Path(),
        data,
    )


def document(rows: pd.DataFrame, pictures: Iterable[Figure] = ()) -> Document:
    """A report of these rows."""
    datasets = sorted(rows["dataset"].unique())
    return Document(
        name="table1",
        title="Quantitative comparison on the DIV2K validation set",
        source="MoEISR (arXiv 2311.12077), Table 1",
        notice=(
            "Reduced setting: small networks (EDSR of 8 blocks and 32 features, decoders of width "
            "128) trained for 8,000 steps on 399 BSDS images; measured on substitute data. "
            "Differences to published numbers say nothing about the methods."
        ),
        verdicts=(
            Verdict(
                "MoEISR(LIIF)-b keeps the PSNR of LIIF with a quarter fewer MACs.",
                "within 0.02 dB at x2 to x30; 24 % fewer MACs",
                "+0.07 dB [+0.02, +0.11] at x4, 26 % fewer MACs",
                "holds",
            ),
            Verdict(
                "MoEISR(LIIF)-s loses at most 0.08 dB with 73 % fewer MACs.",
                "-0.07 dB at x2; 73 % fewer MACs",
                "-0.08 dB [-0.15, +0.01] at x2, 73 % fewer MACs",
                "not decided",
            ),
            Verdict(
                "The mapper sends texture to deep experts.",
                "Figure 1",
                "rank correlation -0.11 [-0.24, -0.02] of depth and gradient energy",
                "does not hold",
            ),
            Verdict("MoEISR(LTE) saves 6 to 8 % over LTE.", "6 to 8 %", "", "not measured"),
        ),
        provenance=(
            ("profile", "reference: small networks on 399 BSDS images, 8,000 steps"),
            ("data", f"{', '.join(datasets)}; trained on BSDS399"),
            ("schedule", "8,000 steps of batch 8, LR patches 32x32, Adam 0.001"),
            ("device", "cpu: x86_64, 1 thread"),
            ("versions", "harness 0.1.0, torch 2.13.0"),
        ),
        sections=(
            Section(
                "main",
                "PSNR",
                "",
                tuple(psnr_table(rows, dataset) for dataset in datasets[:1]),
                (over_scale(rows, datasets[0]),),
            ),
            Section(
                "cost",
                "Cost",
                "",
                (macs_table(rows, datasets[0]),),
                (over_macs(rows, datasets[0]),),
            ),
            *([Section("pictures", "Pictures", "", (), tuple(pictures))] if pictures else []),
            Section(
                "more",
                "Other sets",
                "",
                tuple(psnr_table(rows, dataset) for dataset in datasets[1:]),
                folded=True,
            ),
        ),
        role=datasets[0],
        not_run="RDN-LIIF; `harness run table1 --methods 'rdn-*' --retrain`",
    )


HOSTILE = '</script><img src=x onerror="window.hit=1"><b>\'"&amp;{{7*7}}'


def hostile(folder: Path) -> Document:
    """A report in which every text tries to become HTML or a script."""
    entry = Entry(*[HOSTILE] * 4, mark=HOSTILE, beside=HOSTILE, letter="")
    blocks = (((HOSTILE, (entry,) * 3),), (("c", (entry,) * 3),))
    columns = ((HOSTILE, HOSTILE), ("x", "y"), ("x", "z"))
    picture = folder / "picture.png"
    Image.new("RGB", (8, 8)).save(picture)
    points = {"method": HOSTILE, "label": HOSTILE, "x": 2.0, "y": 1.0, "panel": HOSTILE}
    return Document(
        HOSTILE,
        HOSTILE,
        HOSTILE,
        HOSTILE,
        (Verdict(HOSTILE, HOSTILE, HOSTILE, "holds"),),
        ((HOSTILE, HOSTILE),),
        (
            Section(
                HOSTILE,
                HOSTILE,
                HOSTILE,
                (Table(HOSTILE, HOSTILE, HOSTILE, columns, blocks, (HOSTILE,)),),
                (
                    Figure("chart", HOSTILE, HOSTILE, picture, picture, pd.DataFrame([points])),
                    Figure(HOSTILE, HOSTILE, HOSTILE, picture, picture),
                ),
            ),
        ),
        certainty=HOSTILE,
        key=HOSTILE,
        not_run=f"`{HOSTILE}`",
    )
