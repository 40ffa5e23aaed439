"""The page as a file: policy, structure, escaping; nothing is loaded from anywhere."""

import base64
import hashlib
import re
from itertools import pairwise
from pathlib import Path

import lxml.html
import pytest

from xfer.guidance import CONTROLS
from xfer.labels import BASIC
from xfer.nulls.trivial import FLOORS
from xfer.report import blocks, canvas, words
from xfer.report.page import build, sections


def text_of(element):
    return re.sub(r"\s+", " ", element.text_content()).strip()


def test_nothing_is_loaded_from_anywhere(whole_page):
    loads = whole_page.xpath("//@src | //link/@href | //@srcset | //@data | //@action | //@background | //@poster")
    assert loads
    assert all(url.startswith("data:") for url in loads)
    assert whole_page.xpath("//iframe | //object | //embed | //form | //base | //script[@src]") == []
    assert not any(name.startswith("on") for element in whole_page.tree.iter() for name in element.attrib)
    assert whole_page.xpath("//@style") == []
    assert "url(" not in whole_page.xpath("string(//style)")
    assert "@import" not in whole_page.xpath("string(//style)")


def test_links_leave_only_to_dois(whole_page):
    outside = [url for url in whole_page.xpath("//a/@href") if not url.startswith("#")]
    assert outside
    assert all(url.startswith("https://doi.org/10.") for url in outside)


def digest_of(text):
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_policy_allows_the_one_style_the_one_script_and_inlined_images_only(whole_page):
    (policy,) = whole_page.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": f"'sha256-{digest_of(whole_page.xpath('string(//style)'))}'",
        "script-src": f"'sha256-{digest_of(whole_page.xpath('string(//script[not(@type)])'))}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    head = [element.tag for element in whole_page.tree.head]
    assert head.index("meta") < head.index("style")
    assert len(whole_page.xpath("//style")) == 1
    assert len(whole_page.xpath("//script[not(@type)]")) == 1
    assert set(whole_page.xpath("//script/@type")) == {"application/json"}


@pytest.mark.parametrize("element", ["style", "script"])
def test_styles_and_scripts_are_hashed_over_the_bytes_the_browser_sees(make_study, element):
    html = build(make_study())
    inside = html[html.rindex(f"<{element}>") + len(element) + 2 : html.rindex(f"</{element}>")]
    assert f"{element}-src &#39;sha256-{digest_of(inside)}&#39;" in html
    assert "\r" not in inside


def test_scripts_build_no_markup_and_ask_for_nothing(whole_page):
    script = whole_page.xpath("string(//script[not(@type)])")
    forbidden = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "fetch(",
                 "XMLHttpRequest", "WebSocket", "import(", "sendBeacon", "http:", "https:", "cookie")  # fmt: skip
    assert [word for word in forbidden if word in script.replace("http://www.w3.org/2000/svg", "")] == []


def test_images_are_inlined_sized_and_described(whole_page):
    images = whole_page.xpath("//img")
    assert len(images) == 5 + len(BASIC)
    for image in images:
        kind, data = image.get("src").split(";base64,")
        start = base64.b64decode(data, validate=True)[:200]
        assert start.startswith(
            {"png": b"\x89PNG", "svg+xml": b"<?xml", "webp": b"RIFF"}[kind.removeprefix("data:image/")]
        )
        assert len(image.get("alt")) > 40
        assert int(image.get("width")) > 100
        assert int(image.get("height")) > 50


def test_a_figure_that_no_webp_can_hold_is_a_png():
    fig = canvas.figure(2.0, 0.05)
    held = {dpi: blocks.raster(fig, "a figure", dpi) for dpi in (100, 8192)}
    kinds = {dpi: picture.uri.split(";")[0] for dpi, picture in held.items()}
    assert kinds == {100: "data:image/webp", 8192: "data:image/png"}
    assert {(picture.width, picture.height) for picture in held.values()} == {(230, 6)}


def test_svg_images_hold_no_script_and_load_nothing(whole_page):
    for source in whole_page.xpath("//img/@src"):
        if source.startswith("data:image/svg"):
            svg = lxml.html.etree.fromstring(base64.b64decode(source.split(",")[1]))
            assert svg.xpath("//*[local-name()='script']") == []
            links = [v for e in svg.iter() for k, v in e.attrib.items() if k.endswith("href")]
            assert all(link.startswith(("#", "data:")) for link in links)


def test_headings_are_in_order_and_name_every_section(whole_page, make_study):
    levels = [int(h.tag[1]) for h in whole_page.xpath("//h1|//h2|//h3|//h4|//h5|//h6")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [section.id for section in sections(make_study(folds=("CV1", "CV2")))]
    assert whole_page.xpath("//main/section/@aria-labelledby") == ids
    assert len(ids) == 13


def test_ids_are_unique_and_contents_resolve(whole_page):
    ids = whole_page.xpath("//@id")
    assert len(ids) == len(set(ids))
    targets = [url[1:] for url in whole_page.xpath("//nav//a/@href")]
    assert targets == whole_page.xpath("//main/section/@aria-labelledby")
    assert set(targets) <= set(ids)
    assert {url[1:] for url in whole_page.xpath("//a/@href") if url.startswith("#")} <= set(ids)


def test_tables_have_captions_and_scopes(whole_page):
    tables = whole_page.xpath("//table")
    assert len(tables) >= 7
    for table in tables:
        assert text_of(table.xpath("./caption")[0])
        assert all(th.get("scope") == "col" for th in table.xpath("./thead//th"))
        assert all(row[0].tag == "th" and row[0].get("scope") == "row" for row in table.xpath("./tbody/tr|./tfoot/tr"))
        widths = {len(row.xpath("./th|./td")) for row in table.xpath(".//tr")}
        assert len(widths) == 1


def test_figures_say_how_to_read_them_and_what_they_cannot_say(whole_page):
    captions = [text_of(c) for c in whole_page.xpath("//figcaption")]
    assert [c.split(".")[0] for c in captions] == [f"Figure {i + 1}" for i in range(6)]
    assert all("What it cannot say:" in c for c in captions)


def test_wide_things_scroll_in_a_box_that_the_keyboard_reaches(whole_page):
    boxes = whole_page.xpath("//*[contains(@class, 'card') or contains(@class, 'scroll')][@role='region']")
    assert len(boxes) == len(whole_page.xpath("//figure")) + len(whole_page.xpath("//table"))
    assert all(b.get("tabindex") == "0" and b.get("aria-label") for b in boxes)


def test_dangerous_labels_come_out_as_text(make_study, page_of):
    names = ("<script>alert(1)</script>", "../x", "=1+1", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}", "{masks}")
    study = make_study(models=names)
    study.name = study.masks.name = "<b>study</b>"
    study.scores["mask"] = study.masks.name
    study.config["pattern"] = "</td><script>alert(2)</script>"
    page = page_of(study)
    assert len(page.xpath("//script[not(@type)]")) == 1
    assert all("<" not in s.text for s in page.xpath("//script[@type]"))
    assert len(page.xpath("//img")) == 5 + len(BASIC)
    assert page.xpath("//b") == []
    assert {row[0] for row in page.table("scores")} >= set(names)
    assert page.tree.findtext(".//title") == "<b>study</b>: xfer report"
    assert "</td><script>" in page.said("provenance")


def test_page_is_pure(make_study):
    study = make_study()
    before = study.scores.copy()
    assert build(study) == build(study)
    assert study.scores.equals(before)


def test_every_sentence_is_used_and_can_be_filled():
    source = "".join(p.read_text(encoding="utf-8") for p in Path(words.__file__).parent.glob("*.py"))
    composed = {f"{arm}_{end}" for arm in (*CONTROLS, "other") for end in ("higher", "lower", "open")}
    composed |= {*FLOORS, "guided_layer", "guided_codebook", "is_objective", "is_guided", "is_free"}
    for name, entries in words.entries().items():
        assert f'"{name}"' in source, name
        for key in set(entries) - {"title", "reading", "limit", "text", "items"} - composed:
            assert f'"{key}"' in source, f"{name}.{key}"
