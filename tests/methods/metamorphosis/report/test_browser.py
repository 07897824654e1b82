"""The page in a real headless browser.

Playwright drives an installed Chromium over the browser's own protocol: no driver program, no
download, and it can emulate the dark mode, print and a browser without scripts. Without a Chromium
these tests skip; `NEUMETA_CHROMIUM` may name one.
"""

import itertools
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from neumeta.methods.metamorphosis.orders_report.page import build_orders_report
from neumeta.methods.metamorphosis.report.page import build_report
from neumeta.report.blocks import Report
from neumeta.report.overview import Summary, render_overview
from tests.methods.metamorphosis.orders_report import samples as study
from tests.methods.metamorphosis.report.samples import resnet_inputs
from tests.report.test_figures import luminance

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

PAGES = (
    "digits-lenet/index.html",
    "cifar10-resnet20/index.html",
    "permutation-study/index.html",
    "index.html",
)
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# The text area of an A4 page with the margins of the style sheet, in CSS pixels.
A4 = {"width": 695, "height": 1000}


def chromium() -> str | None:
    """Path of a Chromium, or None."""
    named = os.environ.get("NEUMETA_CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = chromium()
    if path is None:
        pytest.skip(f"no Chromium: none of {', '.join(NAMES)} on PATH, NEUMETA_CHROMIUM not set")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, digits_report: Report) -> Path:
    home = tmp_path_factory.mktemp("reports")
    reports = {
        "digits-lenet": digits_report,
        "cifar10-resnet20": build_report(resnet_inputs()),
        "permutation-study": build_orders_report(study.inputs(tmp_path_factory.mktemp("study"))),
    }
    for experiment, report in reports.items():
        (home / experiment).mkdir()
        (home / experiment / "index.html").write_text(report.files["index.html"])
    summaries = [Summary.model_validate_json(report.summary) for report in reports.values()]
    (home / "index.html").write_text(render_overview(summaries))
    return home


class Visit:
    """An open page and all it said and asked for."""

    def __init__(self, browser: Any, path: Path, **settings: Any) -> None:
        self.context = browser.new_context(**settings)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def style(self, selector: str, name: str) -> str:
        """A computed style."""
        script = "([s, n]) => getComputedStyle(document.querySelector(s)).getPropertyValue(n)"
        return str(self.page.evaluate(script, [selector, name]))

    def overflow(self) -> int:
        """Pixels by which the page is wider than its window."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(script))

    def unfold(self, section: str) -> None:
        """Open a section as a user does."""
        self.page.click(f"#{section} > summary")

    def row(self, label: str) -> str:
        """The picker's row of a method, as text."""
        rows = (self.page.locator(".picker tbody tr").nth(n) for n in range(19))
        texts = (" ".join(row.inner_text().replace("\u202f", " ").split()) for row in rows)
        return str(next(text for text in texts if text.startswith(label)))


@pytest.fixture
def visit(browser: Any, folder: Path) -> Iterator[Any]:
    visits: list[Visit] = []

    def go(name: str = "digits-lenet/index.html", **settings: Any) -> Visit:
        visits.append(Visit(browser, folder / name, **settings))
        return visits[-1]

    yield go
    for opened in visits:
        opened.context.close()


def contrast(front: str, behind: str) -> float:
    """WCAG contrast of two computed colours such as rgb(1, 2, 3)."""

    def light(colour: str) -> float:
        red, green, blue = (int(part) for part in re.findall(r"\d+", colour)[:3])
        return luminance(f"#{red:02x}{green:02x}{blue:02x}")

    high, low = sorted((light(front), light(behind)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_picking_a_width_updates_its_row_in_silence(visit: Any) -> None:
    seen = visit()
    page = seen.page
    for section in ("pick", "table"):
        seen.unfold(section)
    assert page.inner_text(".chosen strong") == "Width 16"
    assert seen.row("NeuMeta 97").startswith("NeuMeta 97.9 % ± 0.4")

    page.fill("#pick-number", "5")
    assert page.inner_text(".chosen strong") == "Width 5"
    assert page.inner_text(".chosen .badge") == "not trained"
    assert seen.row("NeuMeta 9").startswith("NeuMeta 92.1 %")
    assert "only at width 24" in seen.row("Base network")
    assert page.input_value("#pick-range") == "1"
    assert page.inner_text(".sortable tr.current th") == "5"

    page.focus("#pick-range")
    page.keyboard.press("End")
    assert page.inner_text(".chosen strong") == "Width 24"
    assert page.get_attribute("#pick-range", "aria-valuetext") == "width 24"
    assert page.input_value("#pick-number") == "24"
    assert seen.row("Base").startswith("Base network 98.3 %")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text(".chosen strong") == "Width 23"

    page.fill("#pick-number", "99")
    page.keyboard.press("Enter")
    assert page.inner_text(".chosen strong") == "Width 24"
    assert seen.said == []
    outside = [url for url in seen.asked if not url.startswith("data:")]
    assert outside == [page.url]


def test_clicking_the_curve_reads_the_width_below_the_pointer_there(visit: Any) -> None:
    seen = visit()
    page = seen.page
    assert page.locator(".readout").is_hidden()
    box = page.locator("#figure-width svg").bounding_box()
    places = page.evaluate("JSON.parse(document.getElementById('figure-width').dataset.places)")
    view = page.evaluate("document.querySelector('#figure-width svg').viewBox.baseVal.width")
    x = box["x"] + places["x"]["11"] * box["width"] / view
    page.mouse.click(x, box["y"] + box["height"] / 3)
    line = page.locator("#figure-width line.cursor").bounding_box()
    assert abs(line["x"] - x) < 1.5
    assert page.locator("#figure-width text.cursor").text_content() == "h = 11"
    read = page.locator(".readout")
    lines = [" ".join(text.split()) for text in read.locator("div, a").all_inner_texts()]
    assert lines[0] == "h = 11 trained width" and lines[-1] == "All 8 at this width"
    told = dict(re.split(r" (?=[\d.]+ %)", line) for line in lines[1:-1])
    assert told["NeuMeta"].startswith("96.5 % ± 0.2") and told["Bypass floor"] == "10.0 %"
    assert "Base network" not in told  # it has another width
    values = [float(text.split()[0]) for text in told.values()]
    assert len(values) == 6 and values == sorted(values, reverse=True)
    there = read.bounding_box()
    assert 0 <= there["x"] - x < 20 and box["y"] < there["y"] < box["y"] + box["height"] / 3
    assert page.evaluate("scrollY") == 0  # nothing moved away from the pointer
    page.mouse.click(x + 20, there["y"] + 30)  # through it
    assert read.locator("div").first.inner_text().startswith("h = 12")
    page.keyboard.press("Escape")
    assert read.is_hidden()
    page.mouse.click(x, box["y"] + box["height"] / 3)
    read.locator("a").click()
    page.locator(".chosen").wait_for(state="visible")  # the fold opens after the jump
    assert seen.said == []
    assert page.inner_text(".chosen strong") == "Width 11"


@pytest.mark.parametrize("window", [{"width": 1280, "height": 800}, {"width": 375, "height": 812}])
def test_a_readout_stays_inside_the_figure(visit: Any, window: dict[str, int]) -> None:
    page = visit(PAGES[1], viewport=window).page
    svg, place = page.locator("#figure-width svg").first, page.locator("#figure-width .scroll")
    for share in (0.2, 0.5, 0.95):
        box = svg.bounding_box()
        svg.click(position={"x": share * box["width"], "y": 40})
        inner, outer = page.locator(".readout").bounding_box(), place.bounding_box()
        assert inner["y"] >= outer["y"]
        assert inner["y"] + inner["height"] <= outer["y"] + outer["height"]
        assert place.evaluate("e => e.scrollHeight - e.clientHeight") <= 0
        left = inner["x"] - outer["x"] + place.evaluate("e => e.scrollLeft")
        assert left >= 0 and left + inner["width"] <= place.evaluate("e => e.scrollWidth")


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_cut_off_at_1280_pixels(visit: Any, name: str) -> None:
    """No box scrolls sideways, and every word of a figure lies inside it, with all unfolded."""
    page = visit(name, viewport={"width": 1280, "height": 800}).page
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    wide = page.evaluate(
        """() => Array.from(document.querySelectorAll('.scroll'))
          .filter(box => box.scrollWidth > box.clientWidth + 1)
          .map(box => box.getAttribute('aria-label') || box.closest('figure').id)"""
    )
    assert wide == []
    outside = page.evaluate(
        """() => Array.from(document.querySelectorAll('main svg text')).filter(text => {
          const around = text.closest('.picture, [role=img]');  // leaves room for the cursor
          const [inner, outer] = [text, around].map(e => e.getBoundingClientRect());
          return inner.left < outer.left - 1 || inner.right > outer.right + 1
            || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
        }).map(text => text.textContent)"""
    )
    assert outside == []


def test_a_phone_gets_the_values_of_the_overview_under_one_another(visit: Any) -> None:
    page = visit("index.html", viewport={"width": 375, "height": 812}).page
    box = page.locator("main > .scroll").first
    assert box.evaluate("e => e.scrollWidth - e.clientWidth") <= 0
    cells = page.locator("tbody tr").first.locator("td")
    places = [cells.nth(n).bounding_box() for n in range(cells.count())]
    assert len(places) == 7 and len({place["x"] for place in places}) == 1
    assert all(b["y"] >= a["y"] + a["height"] - 1 for a, b in itertools.pairwise(places))
    head = "getComputedStyle(document.querySelector('tbody td'), '::before').content"
    assert page.evaluate(head) == '"Base network"'
    wide = visit("index.html").page
    assert wide.evaluate(head) in ("none", "normal")


def test_the_words_of_every_page_are_explained(visit: Any) -> None:
    for name, word in zip(PAGES, ("Kept", "Kept", "Lower bound", "Best control"), strict=True):
        seen = visit(name)
        seen.unfold("terms")
        terms = seen.page.locator("#terms dt")
        assert word in [terms.nth(n).inner_text() for n in range(terms.count())]
        assert seen.page.locator("#terms dd").first.is_visible()


def test_columns_sort_by_value_with_missing_ones_last(visit: Any) -> None:
    seen = visit()
    seen.unfold("table")
    page = seen.page
    header = page.locator(".sortable thead th", has_text="Pruned (L1), fine-tuned")
    order = (
        "Array.from(document.querySelectorAll('.sortable tbody tr'), r => r.cells[0].textContent)"
    )
    header.locator("button").click()
    assert page.evaluate(order)[:3] == ["4", "6", "8"]
    assert header.get_attribute("aria-sort") == "ascending"
    header.locator("button").press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    descending = page.evaluate(order)
    assert set(descending[:3]) == {"24", "20", "16"}
    assert set(descending[-14:]).isdisjoint({"4", "6", "8", "12", "16", "20", "24"})
    page.locator(".sortable thead th", has_text="Trained").locator("button").click()
    assert set(page.evaluate(order)[:4]) == {"4", "5", "6", "7"}  # words sort as words


def test_without_scripts_everything_but_the_control_is_there(visit: Any) -> None:
    seen = visit(java_script_enabled=False)
    page = seen.page
    seen.unfold("pick")
    assert page.locator(".control").is_hidden()
    assert page.locator("noscript p").is_visible()
    assert page.inner_text(".chosen strong") == "Width 16"
    assert page.locator(".picker tbody tr").count() == 8
    assert page.locator(".sortable tbody tr").count() == 21


@pytest.mark.parametrize("name", PAGES)
def test_the_first_screen_says_the_result(visit: Any, name: str) -> None:
    """Headline, main figure and main table lie whole in it; all else is folded."""
    page = visit(name, viewport={"width": 1280, "height": 900}).page
    overview = name == "index.html"
    selectors = (
        ("h1", ".lead", "table") if overview else (".headline", ".first figure svg", ".first table")
    )
    for selector in selectors:
        if page.locator(selector).count():
            box = page.locator(selector).first.bounding_box()
            assert box["y"] >= 0 and box["y"] + box["height"] <= 900, selector
            assert box["x"] + box["width"] <= 1280, selector
    scroll = ".first .scroll" if not overview else ".scroll"
    inside = (
        f"Array.from(document.querySelectorAll('{scroll}'), s => s.scrollWidth - s.clientWidth)"
    )
    assert max(page.evaluate(inside)) <= 0  # nothing of the table is out of sight
    if not overview:
        open_ones = "document.querySelectorAll('details[open]').length"
        assert page.evaluate(open_ones) == 0
        assert page.evaluate("document.documentElement.scrollHeight") < 1800
        hints = page.locator("details > summary .hint")
        assert all(hints.nth(n).text_content() for n in range(hints.count()))


def test_a_link_opens_the_section_that_it_leads_to(visit: Any, folder: Path) -> None:
    page = visit().page
    page.goto((folder / PAGES[1]).as_uri() + "#ablations")
    assert page.locator("#ablations table").first.is_visible()
    assert page.locator("#drop table").is_hidden()
    page.evaluate("location.hash = 'figure-drop'")  # something inside a section
    page.wait_for_selector("#drop[open] table", state="visible")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [375, 768, 1280])
def test_the_page_never_scrolls_sideways(visit: Any, name: str, width: int) -> None:
    seen = visit(name, viewport={"width": width, "height": 812})
    assert seen.overflow() == 0
    seen.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert seen.overflow() == 0


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_gets_figures_with_readable_text(visit: Any, name: str) -> None:
    """They scroll sideways in a box of their own, and are never drawn too small."""
    page = visit(name, viewport={"width": 375, "height": 812}).page
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    smallest = page.evaluate(
        """() => Math.min(...Array.from(document.querySelectorAll('main svg text'), text => {
          const svg = text.ownerSVGElement;
          const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
          return parseFloat(getComputedStyle(text).fontSize) * scale;
        }))"""
    )
    assert smallest >= 9
    if page.locator("#pick-range").count():
        target = page.locator("#pick-range").bounding_box()
        assert target["height"] >= 24  # a finger's aim


@pytest.mark.parametrize("name", PAGES)
def test_dark_mode_changes_the_ground_and_keeps_contrast(visit: Any, name: str) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        seen = visit(name, color_scheme=scheme)
        ground = seen.style("body", "background-color")
        grounds.append(ground)
        assert contrast(seen.style("body", "color"), ground) >= 7
        assert contrast(seen.style("small", "color"), ground) >= 4.5
        assert contrast(seen.style("a:not(.skip)", "color"), ground) >= 4.5
    assert contrast(*grounds) > 12


def test_dark_mode_reaches_into_the_figures(visit: Any) -> None:
    fills = []
    for scheme in ("light", "dark"):
        seen = visit(color_scheme=scheme)
        fill = seen.style("#figure-width svg text", "fill")
        assert contrast(fill, seen.style("body", "background-color")) >= 4.5
        fills.append(fill)
    assert fills[0] != fills[1]


@pytest.mark.parametrize("name", PAGES[:3])
def test_print_opens_all_hides_controls_and_cuts_no_table(visit: Any, name: str) -> None:
    seen = visit(name, viewport=A4, color_scheme="dark")
    page = seen.page
    assert page.locator("#record dl").is_hidden()
    page.emulate_media(media="print")
    for section in range(page.locator("details").count()):
        content = page.locator("details").nth(section).locator("> :nth-child(2)")
        assert content.is_visible() and content.bounding_box()["height"] > 5, section
    for selector in (".control", ".cursor >> nth=0", "a[download]"):
        assert page.locator(selector).first.is_hidden(), selector
    assert page.locator(".first figure svg").is_visible()
    assert seen.overflow() == 0
    widest = page.evaluate(
        "Math.max(...Array.from(document.querySelectorAll('table, pre'), "
        "t => t.getBoundingClientRect().right))"
    )
    assert widest <= A4["width"]
    assert contrast(seen.style("body", "background-color"), "rgb(255, 255, 255)") < 1.1


def test_a_page_of_many_methods_picks_widths_in_silence(visit: Any) -> None:
    seen = visit(PAGES[1])
    page = seen.page
    seen.unfold("pick")
    assert page.locator(".picker tbody tr").count() == 19
    page.fill("#pick-number", "16")
    text = page.inner_text('.chosen [data-field="text"]').replace("\u202f", " ")
    assert text.endswith("25.0 % of the morphing channels kept")
    assert page.inner_text(".chosen .badge") == "not trained"
    assert seen.row("Slimmable").startswith("Slimmable 87.")
    assert seen.row("Pruned (Taylor), fine").startswith("Pruned (Taylor), fine-tuned 90.")
    assert seen.said == []


def test_ablations_are_readable_in_both_modes(visit: Any) -> None:
    for scheme in ("light", "dark"):
        seen = visit(PAGES[1], color_scheme=scheme)
        assert seen.page.locator("#ablations table").count() == 2
        ground = seen.style("#ablations .reference td", "background-color")
        assert contrast(seen.style("#ablations .reference td", "color"), ground) >= 7
        small = seen.style("#ablations td small + small", "color")
        assert contrast(small, seen.style("body", "background-color")) >= 4.5


def test_the_overview_leads_to_the_report(visit: Any) -> None:
    seen = visit("index.html")
    seen.page.click(".cards a:has-text('LeNet on handwritten digits')")
    assert seen.page.title() == "LeNet on handwritten digits · neumeta report"
    assert seen.said == []
