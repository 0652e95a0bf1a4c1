"""Page of a report: one HTML file that holds everything it shows, and fetches nothing.

Figures with data become charts that answer to the pointer (`harness.report.charts` describes the
data).
"""

from __future__ import annotations

import base64
import hashlib
import io
import math
import re
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from PIL import Image

from harness.report.charts import DPI
from harness.report.looks import Look, expert_colors
from harness.report.model import Document, Figure, Table
from harness.report.page.viewer import View, Viewer, load_viewer

__all__ = ["Viewer", "chart", "html", "load_viewer", "render"]


def html(document: Document, viewer: Viewer | None = None) -> str:
    """Format the page of a report.

    Args:
        document: the report.
        viewer: images to look into; None for a page without a viewer.
    """
    figures = [figure for section in document.sections for figure in section.figures]
    every: list[Figure | Table] = [*figures, *(t for s in document.sections for t in s.tables)]
    return render(
        "report.html.j2",
        document=document,
        roles=list(dict.fromkeys(each.role for each in every if each.role)),
        charts={f.key: chart(f) for f in figures if f.data is not None},
        pictures={f.key: _embedded(f.png) for f in figures if f.data is None},
        viewer=viewer,
        views=[] if viewer is None else [_view(view) for view in viewer.views],
        pixels=[] if viewer is None else [_base64(pixels) for pixels in viewer.pixels],
    )


def _view(view: View) -> dict[str, Any]:
    """Return a view as JSON takes it, which knows no infinite PSNR (of equal images)."""
    found = asdict(view)
    for shown in found["methods"]:
        if shown["psnr"] is not None and not math.isfinite(shown["psnr"]):
            shown["psnr"] = "Infinity"
        shown["colors"] = expert_colors(shown["depths"])
    return found


def render(template: str, **values: Any) -> str:
    """Fill a template of this folder, which gets the style and the script with their hashes.

    The page's own policy lets no other style or script run, and no request leave the page.
    """
    environment = Environment(
        loader=PackageLoader("harness.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"anchor": anchor, "code": _code}
    for name in ("css", "js"):
        text = (files(__package__) / f"page.{name}").read_text("utf-8")
        digest = _base64(hashlib.sha256(text.encode()).digest())
        values |= {name: Markup(text), f"{name}_hash": f"sha256-{digest}"}
    return environment.get_template(template).render(**values)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _embedded(png: Path) -> tuple[str, int, int]:
    """Return a figure's pixels as a small file, width and height; the exact ones are in the PNG.

    An inch has 144 pixels of the page, so that type has one size whatever the figure's width.
    """
    small = io.BytesIO()
    with Image.open(png) as image:
        image.convert("RGB").save(small, "WEBP", quality=88, method=4)
    width, height = (round(side * 144 / DPI) for side in image.size)
    return f"data:image/webp;base64,{_base64(small.getvalue())}", width, height


def anchor(key: str) -> str:
    """Return an id of HTML for a key, of letters that need no escape."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", key)


def _code(text: str) -> Markup:
    """Mark what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))


_SERIES = ["panel", "label", "method", "kind", "color", "marker"]
_POINT = ["x", "y", "low", "high", "detail"]


def chart(figure: Figure) -> dict[str, Any]:
    """Return what the page's script draws a chart from: axes, and series of points."""
    data = figure.data
    assert data is not None
    usual = {"panel": "", "kind": "", "detail": "", **asdict(Look())}
    every = data.reindex(columns=[*_SERIES, *_POINT]).astype(object).fillna(usual)
    finite = every[["x", "y"]].astype(float).abs().lt(np.inf).all(axis=1)
    drawn: pd.DataFrame = every[finite].replace({np.nan: None})
    return {
        "title": figure.title,
        "axis": data.attrs.get("axis", "scale"),
        "x": data.attrs.get("x", "scale factor"),
        "y": data.attrs.get("y", ""),
        "series": [
            {**own[_SERIES].iloc[0].to_dict(), "points": own[_POINT].to_dict("records")}
            for _, own in drawn.groupby(_SERIES, sort=False)
        ],
    }
