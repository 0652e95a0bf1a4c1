"""The page of a report: in a real browser, and the pictures that its viewer shows."""

from __future__ import annotations

import io
import math
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from page_fixtures import HOSTILE, REFERENCE, document, hostile, stored_rows
from PIL import Image
from tiny import Harness, photo, pixels, write_data, write_profile

from harness import report
from harness.common.errors import HarnessError
from harness.data.images import to_image
from harness.measure import pictures
from harness.metrics import psnr
from harness.report.formats import latex, markdown
from harness.report.model import Figure
from harness.report.page import chart, html, load_viewer
from harness.report.page.viewer import Shown, View, Viewer
from harness.runs import cut_crops

SIZE, SCALE = (96, 120), 4
DEPTHS = (2, 3, 4, 5)
PATIENCE = 120_000
"""Milliseconds that a browser has for a step, on a machine that does other things, too."""


def _file(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def made_up_viewer() -> Viewer:
    """Two images at x4, by two methods that are off by a little, one with experts."""
    views, files = [], []
    for number, image in enumerate(("baboon", HOSTILE)):
        hr = pixels(*SIZE, seed=number)
        lr = to_image(hr).resize((SIZE[1] // SCALE, SIZE[0] // SCALE), Image.Resampling.BICUBIC)
        noise = torch.from_numpy(np.random.default_rng(number).integers(-9, 9, hr.shape))
        srs = [(hr.int() + noise // n).clamp(0, 255).byte() for n in (1, 3)]
        experts = Image.fromarray(np.arange(lr.width * lr.height, dtype=np.uint8).reshape(24, 30))
        own = [to_image(hr), lr, *map(to_image, srs), experts.point(lambda value: value % 4)]
        first = len(files)
        files += [_file(each) for each in own]
        scores = [psnr(sr / 255, hr / 255, "benchmark", SCALE).item() for sr in srs]
        views.append(
            View(
                role="Set5",
                dataset="made-up",
                image=image,
                scale=SCALE,
                protocol="benchmark",
                box=(0, 0, *SIZE),
                size=SIZE,
                border=SCALE,
                weights=[[65.738 / 256, 129.057 / 256, 25.064 / 256]],
                lr=(first + 1, 0, 0),
                hr=(first, 0, 0),
                methods=(
                    Shown("plain", "Plain", scores[0], first + 2),
                    Shown("mixture", "Mixture", scores[1], first + 3, first + 4, DEPTHS),
                    Shown("perfect", "Perfect", math.inf, first),
                ),
            )
        )
    return Viewer(tuple(views), tuple(files), ("Left out: nothing of importance.",))


Opener = Callable[..., AbstractContextManager[Any]]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    """Opens a page in Chromium; it may neither complain nor ask for anything."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs playwright (the extra `test`)"
    )
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if chromium is None:
        pytest.skip("needs Chromium of the system")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"], timeout=PATIENCE
        )

        @contextmanager
        def open_page(path: Path, link: str = "", **context: Any) -> Iterator[Any]:
            view = {"width": 1300, "height": 900}
            page = browser.new_context(**{"viewport": view, **context}).new_page()
            page.set_default_timeout(PATIENCE)
            told: list[str] = []
            page.on("console", lambda message: told.append(message.text))
            page.on("pageerror", lambda error: told.append(str(error)))
            page.on("request", lambda request: told.append(request.url))
            page.goto(f"{path.as_uri()}{link}")
            yield page
            asked = [text for text in told if not text.startswith(("data:", path.as_uri()))]
            assert [text[:200] for text in asked] == []
            page.close()

        yield open_page
        browser.close()


@pytest.fixture(scope="session")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "table1.html"
    rows = stored_rows()
    made = document(rows[rows["dataset"].isin(["Set5", "Set14"])])
    path.write_text(html(made, made_up_viewer()), "utf-8")
    return path


def _column(page: Any, number: int) -> list[str]:
    return page.eval_on_selector_all(
        "#psnr-Set14 tbody tr:not([hidden]):not(.name)",
        f"rows => rows.map(row => row.cells[{number}].firstChild.textContent.trim())",
    )


def _methods(page: Any) -> list[str]:
    return _column(page, 0)


def test_tables_sort_filter_and_tell_more(opened: Opener, page_file: Path):
    with opened(page_file) as page:
        paper = _methods(page)
        button = page.locator("#psnr-Set14 thead button", has_text="x2")
        button.click()
        values = [
            float(text)
            for text in page.locator("#psnr-Set14 td[data-column='0']").evaluate_all(
                "cells => cells.map(cell => cell.textContent.split(' ')[0])"
            )
        ]
        assert values == sorted(values, reverse=True)
        assert page.locator("#psnr-Set14 th[aria-sort=descending]").count() == 1
        button.click()
        assert _methods(page)[0] == "bicubic"
        button.click()
        assert _methods(page) == paper

        page.click("#psnr-Set14 .tools summary")
        page.fill("#psnr-Set14 [data-filter]", "moe")
        assert all("MoEISR" in name for name in _methods(page))
        assert len(_methods(page)) == 2
        page.fill("#psnr-Set14 [data-filter]", "nobody")
        assert page.is_visible("#psnr-Set14 [data-nothing]")
        page.fill("#psnr-Set14 [data-filter]", "")
        page.click("#psnr-Set14 button[data-block='1']")
        assert _methods(page) == ["bicubic"]
        page.click("#psnr-Set14 button[data-block='1']")
        page.click("#psnr-Set14 .tools button[data-column='1']")
        assert not page.is_visible("#psnr-Set14 td[data-column='1']")
        assert page.get_attribute("#psnr-Set14 .group", "colspan") == "2"

        page.click("#psnr-Set14 td[data-column='0'] >> nth=1")
        assert "95 % interval" in page.inner_text("#tip")
        before = page.inner_text("#tip")
        page.keyboard.press("ArrowDown")
        assert page.inner_text("#tip") != before
        assert page.locator("[aria-describedby=tip]").count() == 1
        page.keyboard.press("Escape")
        assert not page.is_visible("#tip")

        page.evaluate("location.hash = '#psnr-Set5'")  # folded, and of another set
        page.wait_for_selector("#psnr-Set5", state="visible")
        assert not page.is_visible("#psnr-Set14")
        page.click("[data-set=Set14]")
        assert page.is_visible("#psnr-Set14")
        assert not page.is_visible("#psnr-Set5")


def test_verdicts_are_a_short_table_and_all_when_asked(opened: Opener, page_file: Path):
    """They are above the main figure; what the marks in tables mean is said once."""
    with opened(page_file) as page:
        rows = page.locator("#verdicts > .scroll tbody tr")
        assert rows.count() == 3, "what was measured"
        page.click("#verdicts summary")
        assert page.locator("#verdicts details tbody tr:visible").count() == 4
        assert page.locator(".key", has_text="Numbers tell more").count() == 1
        page.click(".folded summary >> text=Methods that were not run")
        assert "harness run table1" in page.inner_text(".folded code")
        for left, right in ((".page", "html"), ("#macs-Set14 table", "#macs-Set14 .scroll")):
            inner, outer = (page.locator(each).bounding_box()["width"] for each in (left, right))
            assert inner <= outer


def test_charts_answer_to_pointer_and_keys(opened: Opener, page_file: Path):
    with opened(page_file) as page:
        chart = page.locator("[data-chart] svg[role=img]").first
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert "EDSR-LIIF" in page.inner_text("#tip")
        marks = chart.locator(".mark").count()
        page.locator(".legend button", has_text="EDSR-LIIF").first.click()
        assert chart.locator(".mark").count() < marks
        chart.focus()
        page.keyboard.press("ArrowRight")
        assert "scale factor" in chart.get_attribute("aria-label")
        page.locator(".numbers summary").first.click()
        page.locator(".numbers table").first.wait_for()  # filled as it opens


@pytest.mark.parametrize(
    ("attrs", "axis"), [({}, "scale"), ({"x": "latency (s)", "axis": "log"}, "log")]
)
def test_seconds_are_not_taken_for_scales(attrs: dict[str, str], axis: str):
    data = pd.DataFrame({"method": "a", "label": "A", "x": [1.03, 2.5], "y": [30.0, 31.0]})
    data.attrs = attrs
    assert chart(Figure("key", "", "", Path(), Path(), data))["axis"] == axis


def _psnr_of(page: Any, what: str, side: str) -> float:
    return float(page.inner_text(f"[data-{what}={side}]"))


def _drawn(page: Any, what: str) -> None:
    page.wait_for_selector(f"[data-viewer][data-drawn*='{what}']")
    page.wait_for_timeout(400)


def test_the_viewer_compares_at_the_same_place(opened: Opener, page_file: Path):
    shot = "document.querySelector('.stage canvas').toDataURL()"
    with opened(page_file) as page:
        page.locator("#viewer").scroll_into_view_if_needed()
        _drawn(page, "lr perfect")
        assert (
            page.inner_text("[data-whole=right]")
            == page.inner_text("[data-region=right]")
            == "\u221e"
        )
        for side, method in (("left", "plain"), ("right", "mixture")):
            page.select_option(f"[data-side={side}]", method)
        _drawn(page, "plain mixture")
        # All is visible: the region's value is the image's, from the same 8-bit pixels.
        for side in ("left", "right"):
            assert _psnr_of(page, "region", side) == _psnr_of(page, "whole", side)
        assert page.inner_text("[data-protocol]").startswith("Protocol benchmark: luma, 4 pixels")

        states = [page.evaluate(shot)]
        canvas = page.locator(".stage canvas")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.move(*middle)
        page.mouse.down()
        page.mouse.move(middle[0] - 200, middle[1], steps=4)
        page.mouse.up()
        assert float(page.input_value("[data-split]")) < 40
        for act in (
            lambda: None,
            lambda: page.click("[data-zoom='1']", click_count=3),
            lambda: page.click("[data-errors]"),
            lambda: page.fill("[data-opacity]", "50"),
        ):
            act()
            page.wait_for_timeout(500)
            states.append(page.evaluate(shot))
        assert len(set(states)) == len(states)
        assert _psnr_of(page, "region", "left") != _psnr_of(page, "whole", "left")
        assert page.locator(".experts li").count() == len(DEPTHS)
        assert "left=plain" in page.url
        link = page.url[page.url.index("#") :]
        told = [page.inner_text(".readings"), page.input_value("[data-split]"), states[-1]]
    with opened(page_file, link) as page:
        _drawn(page, "plain mixture")
        page.wait_for_timeout(300)
        again = [page.inner_text(".readings"), page.input_value("[data-split]")]
        assert [*again, page.evaluate(shot)] == told

        page.click(".strip button[data-key=hr]")
        _drawn(page, "plain hr")
        canvas = page.locator(".stage canvas")
        canvas.focus()
        split = page.input_value("[data-split]")
        page.keyboard.press(".")
        assert page.input_value("[data-split]") != split
        page.keyboard.press("0")
        page.wait_for_timeout(300)
        assert "span" not in page.url
    with opened(page_file, "#viewer?image=none&scale=x&left=../a&x=NaN&span=oops") as page:
        _drawn(page, "lr perfect")  # a wrong link leads to what there is


def test_texts_of_others_stay_texts(opened: Opener, tmp_path: Path):
    path = tmp_path / "hostile.html"
    path.write_text(html(hostile(tmp_path), made_up_viewer()), "utf-8")
    with opened(path) as page:
        assert page.evaluate("window.hit") is None
        assert page.inner_text("h1") == HOSTILE
        assert page.locator("img[src=x]").count() == 0
        page.locator("#viewer").scroll_into_view_if_needed()
        page.select_option("[data-image]", index=1)
        page.wait_for_timeout(300)
        assert page.evaluate("window.hit") is None
    assert not re.search(r"(?:src|href)=\"?(?:https?:)?//", path.read_text())


@pytest.mark.parametrize(
    "context", [{"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}}]
)
def test_readable_on_a_phone_and_in_the_dark(opened: Opener, page_file: Path, context: dict):
    with opened(page_file, **context) as page:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (colour == "rgb(255, 255, 255)") == ("color_scheme" not in context)
        for element in page.locator("button:visible, select:visible, input:visible").all():
            named = element.evaluate(
                "e => e.ariaLabel || e.textContent.trim() || [...(e.labels ?? [])].length > 0"
            )
            assert named, element.evaluate("e => e.outerHTML")


def test_too_few_images_for_any_verdict_are_said_once(opened: Opener, tmp_path: Path):
    """In one sentence, on the page as in Markdown and LaTeX; the list is folded."""
    rows = stored_rows()
    made = document(rows[rows["dataset"] == "Set5"])
    few = tuple(
        replace(verdict, verdict="not decided", images=5 if verdict.ours else 0)
        for verdict in made.verdicts
    )
    made = replace(made, verdicts=few)
    said = "Too few images to decide any of the paper's 4 statements: 5 images here"
    path = tmp_path / "few.html"
    path.write_text(html(made), "utf-8")
    with opened(path) as page:
        assert said in page.inner_text("#verdicts")
        assert page.locator("#verdicts tr:visible").count() == 0
        page.click("#verdicts summary")
        assert page.locator("#verdicts tbody tr:visible").count() == 4
    open_part = markdown(made, Path()).partition("<details>")[0]
    assert said in open_part
    assert "**not decided**" not in open_part
    assert said in latex(made)
    assert r"\item" not in latex(made)
    decided = replace(made, verdicts=(*few, replace(few[0], verdict="holds", images=14)))
    assert "Of 5 statements of the paper, 1 holds and 4 are not decided." in decided.tally


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_nothing_to_report(opened: Opener, page_file: Path, scheme: str):
    """Labels, roles, contrast: of everything, unfolded."""
    axe = pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python")
    script = Path(axe.__path__[0], "axe.min.js").read_text()
    with opened(page_file, color_scheme=scheme) as page:
        page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        page.evaluate(f"{script}; undefined")
        found = page.evaluate("axe.run().then((all) => all.violations)")
        assert [(each["impact"], each["id"], len(each["nodes"])) for each in found] == []


def _kept() -> dict[Path, int]:
    found = Path("results/tiny/pictures").rglob("*.*")
    return {path: path.stat().st_mtime_ns for path in found if path.is_file()}


def test_pictures_are_kept_once_and_shown(
    tmp_path: Path, harness: Harness, monkeypatch: pytest.MonkeyPatch
):
    write_data(tmp_path / "data")
    write_profile(tmp_path / "tiny.yaml")
    run = ("run", "table1", "--profile", "tiny.yaml", "--data-root", "data", "--device", "cpu")
    run = (*run, "--methods", "bicubic,edsr-moeisr-liif-s")
    monkeypatch.setattr(report, "write_report", lambda *_, **__: [])  # nothing is drawn here
    harness.good(*run, "--no-figures")
    assert _kept() == {}
    load = partial(load_viewer, Path("results"), "tiny", "table1", str.upper)
    assert load() is None

    harness.good(*run)  # of measured units, they are made
    made = {path: path.read_bytes() for path in _kept()}
    viewer = load()
    # At x24 and x30, nothing of the first image is left to score.
    assert [(v.image, v.scale) for v in viewer.views] == [
        *(("0801", scale) for scale in (2, 3, 4, 6, 12, 18)),
        *(("0802", scale) for scale in (2, 3, 4, 6, 12, 18, 24, 30)),
    ]
    assert viewer.left_out == ()
    assert [m.label for m in viewer.views[0].methods] == ["BICUBIC", "EDSR-MOEISR-LIIF-S"]
    _check_pixels(viewer)

    first = min(path for path in made if "moeisr" in str(path) and path.suffix == ".webp")
    first.unlink()
    assert "Without pixels for some images: EDSR" in " ".join(load().left_out)
    before = _kept()
    harness.good(*run)
    assert first.read_bytes() == made[first]
    changed = {path for path, time in _kept().items() if before.get(path) != time}
    assert changed == {first, first.with_suffix(".experts.png")}

    fewer = load(budget=20_000)
    assert 0 < len(fewer.views) < len(viewer.views)
    assert "Left out, so that the page stays below 25 MB" in fewer.left_out[-1]
    for damage in (made[first][: len(made[first]) // 2], _file(photo(5, 5)), b"<svg>"):
        first.write_bytes(damage)
        with pytest.raises(HarnessError, match="not a picture of this measurement"):
            load()

    # Kept while they are measured, they are the same; of an image beyond a window, the middle.
    shutil.rmtree("results/tiny/pictures")
    monkeypatch.setattr(cut_crops, "make_pictures", lambda *_: None)
    harness.good(*run, "--force")
    assert {path: path.read_bytes() for path in _kept()} == made
    monkeypatch.setattr(pictures, "SIDE", 40)
    harness.good(*run, "--force")
    cut = load()
    for view, whole in zip(cut.views, viewer.views, strict=True):
        top, left, height, width = view.box
        assert (height, width) == (40, 40)
        sr, hr = (_pixels(cut.pixels[n]) for n in (view.methods[1].sr, view.hr[0]))
        part = (slice(None), slice(top, top + 40), slice(left, left + 40))
        assert torch.equal(sr, _pixels(viewer.pixels[whole.methods[1].sr])[part])
        y, x = top - view.hr[1], left - view.hr[2]
        same = _pixels(viewer.pixels[whole.hr[0]])[part]
        assert torch.equal(hr[:, y : y + 40, x : x + 40], same)


def _check_pixels(viewer: Viewer) -> None:
    """SR and HR give the measured PSNR, and experts lie on the LR image."""
    for view in viewer.views:
        _, _, height, width = view.box
        hr, sr = (_pixels(viewer.pixels[n]) for n in (view.hr[0], view.methods[1].sr))
        value = psnr(sr / 255, hr[:, :height, :width] / 255, view.protocol, view.scale)
        assert value == pytest.approx(view.methods[1].psnr, abs=0.05)
        experts = _pixels(viewer.pixels[view.methods[1].experts])
        assert experts.shape == _pixels(viewer.pixels[view.lr[0]]).shape
        assert experts.max() < len(view.methods[1].depths)


def _pixels(content: bytes) -> torch.Tensor:
    with Image.open(io.BytesIO(content)) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def test_a_row_never_names_a_file_elsewhere():
    row = {"image": "a", "dataset_fingerprint": "f00d", "lr_fingerprint": "", "lr_source": "pil"}
    pictures.picture_paths(Path("p"), "Set5/x2/bicubic.s0.beef.jsonl", row)
    for name in ("image", "dataset_fingerprint", "lr_source"):
        with pytest.raises(ValueError, match="no plain name"):
            hostile_row = {**row, name: "../../victim"}
            pictures.picture_paths(Path("p"), "Set5/x2/bicubic.s0.beef.jsonl", hostile_row)


def test_the_index_names_every_report(tmp_path: Path, harness: Harness, opened: Opener):
    write_profile(tmp_path / "tiny.yaml")
    index = ("report", "index", "--profile", "tiny.yaml")
    status, _, error = harness(*index)
    assert status == 1
    assert "There are no reports" in error
    assert "take" in harness(*index, "--stdout")[2]
    shutil.copytree(REFERENCE.parent / "training", "results/tiny/training")
    damaged = next(Path("results/tiny/training").glob("*/*/log.jsonl"))
    damaged.write_bytes(damaged.read_bytes() + b'{"step": 7, "l1"')
    Path("reports/tiny/other").mkdir(parents=True)
    for name in ("table1.html", "table1.md", "other/a&b.html"):
        Path("reports/tiny", name).write_text("")
    path = Path(harness.good(*index).strip())
    with opened(path.absolute()) as page:
        links = page.eval_on_selector_all("main a", "all => all.map(a => a.getAttribute('href'))")
        assert links == ["table1.html", "table1.md", "other/a%26b.html"]
        assert page.locator("[data-chart] .panel svg").count() == 2
