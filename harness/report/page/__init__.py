"""Report as one HTML page that needs no other file: a plain one."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import Any

from harness.common.files import write_text
from harness.report.model import Document


def write(document: Document, path: Path, viewer: Any = None) -> None:
    """Write the page."""
    del viewer
    write_text(path, html(document))


def html(document: Document) -> str:
    """Format the page."""
    said = [f"<h1>{escape(document.title)}</h1><p>{escape(document.source)}</p>"]
    said += [f"<p><strong>{escape(document.notice)}</strong></p>"] if document.notice else []
    for verdict in document.verdicts:
        texts = (verdict.claim, verdict.paper, verdict.ours, verdict.verdict)
        said.append(f"<p>{escape(' - '.join(filter(None, texts)))}</p>")
    for section in document.sections:
        said.append(f"<section><h2>{escape(section.title)}</h2><p>{escape(section.text)}</p>")
        for figure in section.figures:
            data = base64.b64encode(figure.png.read_bytes()).decode()
            text = escape(f"{figure.title}. {figure.caption}")
            said.append(f'<img alt="" src="data:image/png;base64,{data}"><p>{text}</p>')
        for table in section.tables:
            said.append(f"<h3>{escape(table.title)}</h3><p>{escape(table.caption)}</p>")
            said.append(table.cells.to_html(escape=True))
            said += [f"<p>{escape(note)}</p>" for note in (*table.notes, table.folded) if note]
        said.append("</section>")
    said += [f"<p>{escape(f'{name}: {text}')}</p>" for name, text in document.provenance]
    return f'<!doctype html><meta charset="utf-8">{"".join(said)}\n'
