"""The report in a real Chromium: tables, maps and trees answer pointer and keyboard, nothing leaves the file."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from scipy.ndimage import gaussian_filter

import xfer
from xfer.report import page as report_page
from xfer.report.blocks import Live, Picture, Plot, Section
from xfer.report.pixels import levels, palette
from xfer.study import Study

pytestmark = pytest.mark.browser
expect.set_options(timeout=60_000)

MODELS = tuple(f"net_{letter}" for letter in "abcdefgh")
EXPRESSIONS = ("anger", "fear", "happiness")
SIZE = (44, 36)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Eight networks x three expressions of smooth maps in two folds, one network without a map of fear."""
    place = tmp_path_factory.mktemp("live")
    draw = np.random.default_rng(3)
    for name in ("maps", "gt"):
        (place / name).mkdir()
    for i, expression in enumerate(EXPRESSIONS):
        mask = np.zeros(SIZE, np.float32)
        mask[6 + 8 * i : 20 + 8 * i, 8:28] = 1
        np.save(place / "gt" / f"{expression}.npy", mask)
        for model in MODELS:
            for fold in ("CV1", "CV2"):
                if (model, expression) != ("net_h", "fear"):
                    noise = gaussian_filter(draw.random(SIZE), 4).astype(np.float32)
                    np.save(place / "maps" / f"{model}_{fold}_{expression}.npy", noise)
    return xfer.compare(
        heatmaps=place / "maps", pattern="{model}_{fold}_{expression}.npy", mask_pattern="{expression}.npy",
        masks=place / "gt", metrics="iou", draws=20, allow_missing=True, out=place / "study",
    )  # fmt: skip


@pytest.fixture(scope="module")
def other(study: Study) -> Study:
    """The same maps, cut at another threshold."""
    place = study.folder.parent
    return xfer.compare(
        heatmaps=place / "maps", pattern="{model}_{fold}_{expression}.npy", mask_pattern="{expression}.npy",
        masks=place / "gt", metrics="iou", threshold="area", draws=0, allow_missing=True, out=place / "other",
    )  # fmt: skip


class Watched:
    """A page that was opened from a file, with all that it asked for or complained of."""

    def __init__(self, browser: Browser, path: Path, *, width: int = 1200, scheme: str = "light", scripts: bool = True):
        self.context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=scripts
        )
        self.page = self.context.new_page()
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type != "log" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

        def route(route) -> None:
            self.asked.append(route.request.url)
            route.continue_() if route.request.url.startswith("file:") else route.abort()

        self.context.route("**/*", route)
        self.url = path.as_uri()
        self.page.goto(self.url)


@pytest.fixture
def opened(browser: Browser, study: Study) -> Iterator[Watched]:
    """The report of the study; at the end it has asked for nothing and complained of nothing."""
    watched = Watched(browser, study.folder / "report.html")
    yield watched
    assert [url for url in watched.asked if not url.startswith("data:")] == [watched.url]
    assert watched.complaints == []
    watched.context.close()


def column(page: Page, table: str, index: int) -> list[str]:
    """The texts of a column, top to bottom, of the rows that are seen."""
    return page.locator(f"{table} tbody tr:not([hidden]) > :nth-child({index})").all_inner_texts()


SCORES = "section[aria-labelledby=scores] table"


def test_a_click_on_a_head_sorts_and_the_third_restores(opened: Watched) -> None:
    page, head = opened.page, opened.page.locator(f"{SCORES} thead th").nth(1)
    given = column(page, SCORES, 2)
    head.get_by_role("button").click()
    falling = column(page, SCORES, 2)
    assert head.get_attribute("aria-sort") == "descending"
    assert [float(v) for v in falling] == sorted(map(float, given), reverse=True)
    assert falling != given
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, SCORES, 2) == falling[::-1]
    head.get_by_role("button").press("Space")
    assert head.get_attribute("aria-sort") is None
    assert column(page, SCORES, 2) == given


def test_what_is_undefined_stays_at_the_end_of_both_orders(opened: Watched) -> None:
    page, head = opened.page, opened.page.locator(f"{SCORES} thead th").nth(2)
    for _ in range(2):
        head.get_by_role("button").click()
        assert column(page, SCORES, 1)[-1] == "net_h"
        assert column(page, SCORES, 3)[-1].startswith("undefined")


def test_words_filter_rows_and_the_foot_stays(opened: Watched) -> None:
    page = opened.page
    section = page.locator("section[aria-labelledby=scores]")
    field = section.get_by_label("Filter table")
    field.fill("NET_c")
    assert column(page, SCORES, 1) == ["net_c"]
    expect(section.locator(".controls output")).to_have_text("1 of 8 rows; those at the foot are of all")
    assert page.locator(f"{SCORES} tfoot tr").first.is_visible()
    field.fill("")
    assert len(column(page, SCORES, 1)) == 8


def test_hovering_tells_row_column_pixel_and_score(opened: Watched, study: Study) -> None:
    page = opened.page
    cell = page.get_by_role("button", name=re.compile("^net_b, happiness: IoU"))
    cell.scroll_into_view_if_needed()
    box = cell.locator("canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 10.5 / SIZE[1], box["y"] + box["height"] * 20.5 / SIZE[0])
    tip = page.locator(".tip")
    expect(tip).to_contain_text("row 20, column 10:")
    maps = [study.heatmap(model="net_b", fold=fold, expression="happiness") for fold in ("CV1", "CV2")]
    heatmap = np.mean(maps, axis=0)
    told = float(re.search(r"column 10: ([\d.]+)", tip.inner_text())[1])
    assert told == pytest.approx(heatmap[20, 10], abs=float(0.51 * np.ptp(heatmap) / 254 + 0.0005))
    score = study.table("iou").loc["net_b", "happiness"]
    assert f"IoU {score:.3f}" in tip.inner_text()
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()


def test_the_overlay_moves_by_keyboard(opened: Watched) -> None:
    page = opened.page
    slider = page.get_by_label("Strength of the heatmap").first
    canvas = page.locator(".maps canvas").first
    assert canvas.evaluate("c => getComputedStyle(c).opacity") == "0.8"
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert canvas.evaluate("c => getComputedStyle(c).opacity") == "0.75"
    page.keyboard.press("Home")
    assert canvas.evaluate("c => getComputedStyle(c).opacity") == "0"
    line = page.locator(".maps .line").first
    assert line.evaluate("c => getComputedStyle(c).display") != "none"
    page.get_by_label("Outline of the mask").first.press("Space")
    assert line.evaluate("c => getComputedStyle(c).display") == "none"


def test_arrows_move_in_the_grid_and_enter_opens_a_map(opened: Watched) -> None:
    page = opened.page
    first = page.locator(".maps button").first
    assert page.locator(".maps button[tabindex='0']").count() == 1
    first.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowUp", "ArrowUp", "ArrowDown", "End", "ArrowRight"):
        page.keyboard.press(key)
    focused = page.locator(":focus").get_attribute("aria-label")
    assert focused.split(":")[0].endswith(", happiness")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_role("heading").inner_text() == focused.split(":")[0]
    dialog.get_by_label("Row").fill("3")
    dialog.get_by_label("Column").fill("5")
    expect(dialog.locator("output")).to_contain_text(re.compile(r"^value [\d.]+ \(\d+ % of the way up\)$"))
    assert dialog.get_by_role("img", name=re.compile("IoU by threshold")).is_visible()
    assert "chance" in dialog.inner_text()
    dialog.get_by_role("button", name="Next").click()
    assert dialog.get_by_role("heading").inner_text() != focused.split(":")[0]
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert page.locator(":focus").get_attribute("aria-label") == focused


def test_a_map_that_is_not_there_says_so(opened: Watched) -> None:
    absent = opened.page.get_by_role("button", name="net_h, fear: no map")
    assert "absent" in absent.get_attribute("class")
    absent.click()
    assert "no map" in opened.page.get_by_role("dialog").locator("output").inner_text()


def test_a_leaf_lights_up_in_every_tree(opened: Watched, study: Study) -> None:
    page = opened.page
    section = page.locator("section[aria-labelledby=families]")
    picture = section.locator("img").first
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    assert box is not None
    row, side = section.locator(".band.row"), section.locator(".band.column")
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.25)
    assert row.first.is_visible()
    assert row.nth(1).is_visible()
    leaf = re.search(r"Anger: (\S+) is most like (\S+) \(r = ([−\d.]+)\)", page.locator(".tip").inner_text())
    r = study.model_correlations("anger").loc[leaf[1]].drop(leaf[1])
    assert (r.idxmax(), f"{r.max():.2f}".replace("-", "−")) == (leaf[2], leaf[3])
    lit = row.first.bounding_box()
    assert lit["y"] < box["y"] + box["height"] * 0.25 < lit["y"] + lit["height"]
    section.get_by_label("Light up a network").select_option("net_h")
    assert row.nth(1).is_hidden()  # it has no map of fear
    assert side.first.is_visible()
    expect(section.locator(".likeness")).to_contain_text("anger: net_")


def test_colours_follow_the_system_and_the_switch_and_are_kept(opened: Watched) -> None:
    page = opened.page
    shade = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(shade)
    page.get_by_label("Colours").select_option("dark")
    dark = page.evaluate(shade)
    assert light != dark
    page.reload()
    opened.asked.pop()
    assert page.evaluate(shade) == dark
    page.get_by_label("Colours").select_option("as the system")
    assert page.evaluate(shade) == light
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(shade) == dark


def test_the_pdf_has_every_row_and_none_of_the_controls(opened: Watched, tmp_path: Path) -> None:
    page = opened.page
    page.locator("section[aria-labelledby=scores]").get_by_label("Filter table").fill("net_c")
    page.emulate_media(media="print")
    assert page.locator(".controls:visible, .live:visible, nav:visible, .theme:visible").count() == 0
    assert page.locator("section[aria-labelledby=heatmaps] img").first.is_visible()
    assert page.locator(f"{SCORES} tbody tr").last.is_visible()
    page.pdf(path=tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes()[:5] == b"%PDF-"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["report.html", "diff-other.html"])
def test_axe_finds_no_serious_violation(browser: Browser, study: Study, other: Study, name: str, scheme: str) -> None:
    study.diff(other)
    watched = Watched(browser, study.folder / name, scheme=scheme)
    assert serious(watched.page) == []
    if name == "report.html":
        watched.page.locator(".maps button").first.click()
        assert serious(watched.page) == []
    watched.context.close()


def serious(page: Page) -> list[str]:
    """The rules that a page breaks badly, each with the first element that does."""
    found = Axe().run(page).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found if v["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("name", ["report.html", "diff-other.html"])
def test_a_phone_shows_it_without_overflow(browser: Browser, study: Study, other: Study, name: str) -> None:
    study.diff(other)
    watched = Watched(browser, study.folder / name, width=390)
    assert watched.page.evaluate("document.documentElement.scrollWidth") == 390
    if name == "report.html":
        watched.page.locator(".maps button").first.click()
        dialog = watched.page.get_by_role("dialog")
        assert dialog.evaluate("d => d.scrollWidth <= d.clientWidth && d.offsetWidth <= 390")
    watched.context.close()


def test_without_scripts_everything_is_there(browser: Browser, study: Study) -> None:
    watched = Watched(browser, study.folder / "report.html", scripts=False)
    page = watched.page
    assert page.locator("section[aria-labelledby=heatmaps] img").first.is_visible()
    assert len(column(page, SCORES, 1)) == 8
    assert page.locator("button:visible, input:visible, select:visible, .live:visible").count() == 0
    watched.context.close()


def test_names_of_files_are_never_markup(browser: Browser, tmp_path: Path) -> None:
    """Names, notes and faces that would run something as HTML are text in the live grid, too."""
    evil = "</script><img src=x onerror=alert(1)><b>"
    heatmap = levels(np.arange(12.0).reshape(4, 3))
    face = {"who": 0, "told": evil, "size": [4, 3], **heatmap}
    cell = {"note": evil, "doubt": evil, "known": [(evil, evil)], "curve": [0.1] * 19, "shown": evil, "faces": [face]}
    cell |= heatmap
    log = {"epochs": [1, 2], "kept": 2, "train": [2, 1], "validation": [2, None], "accuracy": [0.1, 0.3]}
    facts = {
        "height": 4, "width": 3, "models": [evil], "expressions": ["fear"], "explainers": ["a", "b"], "face": "",
        "colours": palette(), "outlines": ["M0 0L2 2Z"], "people": [{"picture": "", "lines": "M0 0L50 50"}],
        "cells": [[[cell]], [[cell]]], "training": {evil: [log]},
    }  # fmt: skip
    picture = Picture("data:image/png;base64,", 10, 10, "a picture")
    plot = Plot([picture], "T", "R", "L", live=Live("heatmaps", facts))
    path = tmp_path / "page.html"
    path.write_text(report_page.render("kind", evil, [Section("heatmaps", "Maps", [plot])]), encoding="utf-8")
    watched = Watched(browser, path)
    page = watched.page
    page.locator(".maps button").click()
    dialog = page.get_by_role("dialog")
    assert dialog.locator("li").inner_text() == evil
    assert dialog.locator("svg[role=img]").count() == 3
    assert page.locator("b, main img:not([alt='a picture'])").count() == 0
    page.keyboard.press("Escape")
    page.get_by_label("Explainer").select_option("b")
    assert watched.complaints == []
    assert [url for url in watched.asked if not url.startswith("data:")] == [watched.url]
    watched.context.close()
