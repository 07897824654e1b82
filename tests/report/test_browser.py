"""The page in a real headless browser.

Playwright drives an installed Chromium over the browser's own protocol: no driver program, no
download, and it can emulate the dark mode, print and a browser without scripts. Without a Chromium
these tests skip; `NEUMETA_CHROMIUM` may name one.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from neumeta.report import Report, build_report, render_overview
from neumeta.report.overview import check_summary
from tests.report.samples import resnet_facts
from tests.report.test_figures import luminance

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

PAGES = ("digits-lenet/index.html", "cifar10-resnet20/index.html", "index.html")
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
    (home / "digits-lenet").mkdir()
    for name, text in digits_report.files.items():
        (home / "digits-lenet" / name).write_text(text)
    (home / "cifar10-resnet20").mkdir()
    page = build_report(resnet_facts()).files["index.html"]
    (home / "cifar10-resnet20/index.html").write_text(page)
    entry = json.loads(digits_report.summary)
    check_summary(entry, "here")
    (home / "index.html").write_text(render_overview([entry]))
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

    def row(self, method: str) -> str:
        """The picker's row of a method, as text."""
        text = self.page.inner_text(f'#row tr[data-method="{method}"]')
        return " ".join(text.replace("\u202f", " ").split())


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
    assert page.inner_text("#chosen strong") == "Width 16"
    assert seen.row("neumeta").startswith("NeuMeta 97.9 % ± 0.4")

    page.fill("#width-number", "5")
    assert page.inner_text("#chosen strong") == "Width 5"
    assert page.inner_text("#chosen .badge") == "not trained"
    assert seen.row("neumeta").startswith("NeuMeta 92.1 %")
    assert "only at width 24" in seen.row("base")
    assert page.input_value("#width-range") == "1"
    assert page.inner_text(".all tr.current th") == "5"

    page.focus("#width-range")
    page.keyboard.press("End")
    assert page.inner_text("#chosen strong") == "Width 24"
    assert page.get_attribute("#width-range", "aria-valuetext") == "width 24"
    assert page.input_value("#width-number") == "24"
    assert seen.row("base").startswith("Base network 98.3 %")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#chosen strong") == "Width 23"

    page.fill("#width-number", "99")
    page.keyboard.press("Enter")
    assert page.inner_text("#chosen strong") == "Width 24"
    assert seen.said == []
    outside = [url for url in seen.asked if not url.startswith("data:")]
    assert outside == [page.url]


def test_clicking_the_curve_picks_the_width_below_the_pointer(visit: Any) -> None:
    page = visit().page
    page.locator("#figure-width").scroll_into_view_if_needed()
    box = page.locator("#figure-width .wide svg").bounding_box()
    places = page.evaluate("JSON.parse(document.getElementById('figure-width').dataset.places)")
    view = page.evaluate("document.querySelector('#figure-width svg').viewBox.baseVal.width")
    x = box["x"] + places[0]["x"]["11"] * box["width"] / view
    page.mouse.click(x, box["y"] + box["height"] / 3)
    assert page.inner_text("#chosen strong") == "Width 11"
    line = page.locator("#figure-width .wide .cursor line").bounding_box()
    assert abs(line["x"] - x) < 1.5


def test_columns_sort_by_value_with_missing_ones_last(visit: Any) -> None:
    page = visit().page
    header = page.locator(".all thead th", has_text="Pruned (L1), fine-tuned")
    order = "Array.from(document.querySelectorAll('.all tbody tr'), r => r.cells[0].textContent)"
    header.locator("button").click()
    assert page.evaluate(order)[:3] == ["4", "6", "8"]
    assert header.get_attribute("aria-sort") == "ascending"
    header.locator("button").press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    descending = page.evaluate(order)
    assert set(descending[:3]) == {"24", "20", "16"}
    assert set(descending[-14:]).isdisjoint({"4", "6", "8", "12", "16", "20", "24"})


def test_without_scripts_everything_but_the_control_is_there(visit: Any) -> None:
    page = visit(java_script_enabled=False).page
    assert page.locator(".control").is_hidden()
    assert page.locator("noscript p").is_visible()
    assert page.inner_text("#chosen strong") == "Width 16"
    assert page.locator("#row tbody tr").count() == 8
    assert page.locator(".all tbody tr").count() == 21


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [375, 768, 1280])
def test_the_page_never_scrolls_sideways(visit: Any, name: str, width: int) -> None:
    assert visit(name, viewport={"width": width, "height": 812}).overflow() == 0


@pytest.mark.parametrize("name", PAGES[:2])
def test_a_phone_gets_figures_with_readable_text(visit: Any, name: str) -> None:
    page = visit(name, viewport={"width": 375, "height": 812}).page
    assert page.locator("#figure-width .narrow").is_visible()
    assert page.locator("#figure-width .wide").is_hidden()
    smallest = page.evaluate(
        """() => Math.min(...Array.from(document.querySelectorAll('.narrow svg text'), text => {
          const svg = text.ownerSVGElement;
          const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
          return parseFloat(getComputedStyle(text).fontSize) * scale;
        }))"""
    )
    assert smallest >= 9
    target = page.locator("#width-range").bounding_box()
    assert target["height"] >= 24  # a finger's aim


@pytest.mark.parametrize("name", ["digits-lenet/index.html", "index.html"])
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
        fill = seen.style("#figure-width .wide svg text", "fill")
        assert contrast(fill, seen.style("body", "background-color")) >= 4.5
        fills.append(fill)
    assert fills[0] != fills[1]


@pytest.mark.parametrize("name", PAGES[:2])
def test_print_hides_controls_and_cuts_no_table(visit: Any, name: str) -> None:
    seen = visit(name, viewport=A4, color_scheme="dark")
    page = seen.page
    assert page.locator(".control").is_visible()
    page.emulate_media(media="print")
    for selector in (".control", "nav", ".cursor >> nth=0", "a[download]"):
        assert page.locator(selector).is_hidden(), selector
    assert page.locator("#figure-width .wide").is_visible()
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
    assert page.locator("#row tbody tr").count() == 19
    page.fill("#width-number", "16")
    assert page.inner_text('#chosen [data-field="kept"]').startswith("25.0")
    assert page.inner_text("#chosen .badge") == "not trained"
    assert seen.row("slimmable").startswith("Slimmable 87.")
    assert seen.row("pruned-taylor-finetuned").startswith("Pruned (Taylor), fine-tuned 90.")
    assert seen.said == []


def test_ablations_are_readable_in_both_modes(visit: Any) -> None:
    for scheme in ("light", "dark"):
        seen = visit(PAGES[1], color_scheme=scheme)
        assert seen.page.locator("table.ablation").count() == 2
        ground = seen.style(".ablation .reference td", "background-color")
        assert contrast(seen.style(".ablation .reference td", "color"), ground) >= 7
        small = seen.style(".ablation .delta", "color")
        assert contrast(small, seen.style("body", "background-color")) >= 4.5


def test_the_overview_leads_to_the_report(visit: Any) -> None:
    seen = visit("index.html")
    seen.page.click("text=LeNet on handwritten digits")
    assert seen.page.title() == "LeNet on handwritten digits · neumeta report"
    assert seen.said == []
