"""The figures: sound SVG, equal bytes, any set of methods."""

import functools
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from neumeta.methods.metamorphosis.report.figures import (
    accuracy_figure,
    below_figure,
    drop_figure,
    peers_figure,
    variation_figure,
)
from neumeta.methods.metamorphosis.report.inputs import Variation
from neumeta.methods.metamorphosis.report.looks import describe, first_figure
from neumeta.methods.metamorphosis.report.page import build_report
from neumeta.methods.metamorphosis.report.training import losses_figure
from neumeta.report.blocks import Drawing
from neumeta.report.figures import inline
from neumeta.report.palette import PALETTE, light
from tests.methods.metamorphosis.report.samples import (
    CIFAR,
    PERMUTE,
    base_history,
    digits_like,
    inputs_of,
    resnet_inputs,
    resnet_like,
    result_row,
    table,
    train_history,
)
from tests.report.reader import Reader


def digits(**changes: Any) -> Any:
    return inputs_of(digits_like(), **changes)


DRAW: dict[str, Callable[[], Drawing]] = {
    "width": lambda: accuracy_figure(digits(), "width"),
    "params": lambda: accuracy_figure(digits(), "params"),
    "variation": lambda: variation_figure(digits()),
    "losses": lambda: losses_figure(digits()),
    "drop": lambda: drop_figure(resnet_inputs()),
    "peers": lambda: peers_figure(resnet_inputs()),
    "many": lambda: accuracy_figure(resnet_inputs(), "width"),
}


@functools.cache
def drawn(name: str) -> str:
    """A figure, drawn once for all tests."""
    return DRAW[name]().svg


def words(svg: str) -> str:
    """All text of a figure."""
    return " ".join("".join(node.itertext()) for node in ET.fromstring(svg).iter() if node.text)


@pytest.mark.parametrize("name", DRAW)
def test_figures_are_sound_and_reproducible(name: str) -> None:
    svg = drawn(name)
    assert ET.fromstring(svg).tag.endswith("svg")
    assert svg == DRAW[name]().svg


@pytest.mark.parametrize("name", DRAW)
def test_inlined_figures_refer_to_nothing_outside(name: str) -> None:
    svg = inline(drawn(name), "fig")
    assert "http" not in svg and "DOCTYPE" not in svg
    ids = [node.get("id") for node in ET.fromstring(svg).iter() if node.get("id")]
    assert len(ids) == len(set(ids)) and all(i and i.startswith("fig-") for i in ids)
    used = {part.split(")")[0] for part in svg.split("url(#")[1:]}
    used |= {part.split('"')[0] for part in svg.split('href="#')[1:]}
    assert used and used <= set(ids)


@pytest.mark.parametrize("name", DRAW)
def test_inlined_figures_take_their_colours_from_the_page(name: str) -> None:
    svg = inline(drawn(name), "fig")
    assert "var(--ink)" in svg
    for colour in PALETTE:
        assert light(colour) not in svg
    # Whatever is left would not follow the dark mode.
    assert "#000000" not in svg and "#ffffff" not in svg


def test_every_method_is_named_even_an_unknown_one() -> None:
    names = ["neumeta", "sliced", "pruned-<taylor>", "$x^2$"]
    rows = [result_row(name, width, 0.9, 0) for name in names for width in (4, 8)]
    text = words(accuracy_figure(inputs_of(table(rows)), "width").svg)
    for label in ("NeuMeta", "sliced", "pruned-<taylor>", "$x^2$"):
        assert label in text


@pytest.mark.parametrize("against", ["width", "params"])
@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([result_row("base", 24, 0.98)], id="only the base"),
        pytest.param([result_row("neumeta", 8, 0.9, 0)], id="one point"),
        pytest.param([result_row("neumeta", 8, math.nan, 0)], id="no number at all"),
        pytest.param(
            [result_row("neumeta", 8, 1.0, 0), result_row("bypass", 8, 0.0)], id="both ends"
        ),
        pytest.param([result_row("neumeta", w, 0.9, 0, seen=False) for w in (4, 5)], id="unseen"),
    ],
)
def test_odd_tables_are_drawn(
    rows: list[dict[str, object]], against: Literal["width", "params"]
) -> None:
    svg = accuracy_figure(inputs_of(table(rows)), against).svg
    assert ET.fromstring(svg).tag.endswith("svg")
    assert "nan" not in svg


def test_places_of_widths_are_evenly_spaced_and_inside() -> None:
    drawing = DRAW["width"]()
    places = [drawing.x[width] for width in range(4, 25)]
    steps = np.diff(places)
    assert steps.min() > 20 and np.allclose(steps, steps[0], atol=0.02)
    assert min(places) > 0 and max(places) < 660
    assert drawing.top < drawing.bottom


def test_losses_without_a_phase_or_validation() -> None:
    rows = train_history()
    warm = rows[rows["phase"] == "warm"]
    text = words(losses_figure(digits(train_history=warm)).svg)
    assert "INR, warm start" in text
    assert "task phase" not in text and "validation" not in text
    none = digits(train_history=rows.iloc[:0])
    assert "Base network" in words(losses_figure(none).svg)
    nothing = digits(train_history=rows.iloc[:0], base_history=base_history().iloc[:0])
    assert losses_figure(nothing).svg.startswith("<?xml")


def test_variation_names_groups_and_changes() -> None:
    text = words(drawn("variation")).replace("\u202f", " ")
    assert "conv1" in text and "−23.3 %" in text and "96 channels" in text
    flat = {"name": "fc", "channels": 1, "length_before": 0, "length_after": 0, "lower_bound": 0}
    variation = Variation.model_validate(PERMUTE | {"groups": (flat,)}, strict=False)
    assert "fc" in words(variation_figure(digits(variation=variation)).svg)


def test_methods_differ_by_more_than_colour() -> None:
    known = describe(
        ["neumeta", "neumeta-noise-free", "individual", "interpolated", "pruned-l1", "bypass"]
    )
    assert len({(method.marker, method.dash) for method in known}) == len(known)
    assert len({method.colour for method in known}) == len(known)


def test_unknown_methods_keep_their_look_and_follow_the_known() -> None:
    alone = describe(["pruned-magic", "inn"])
    among = describe(["pruned-magic", "neumeta", "inn", "neumeta"])
    assert [method.name for method in among] == ["neumeta", "inn", "pruned-magic"]
    assert among[1:] == alone
    assert alone[0].colour != alone[1].colour


PEERS = (
    *("neumeta", "neumeta-noise-free", "individual", "individual-distilled", "base", "bypass"),
    *("slimmable", "integral", "interpolated"),
    *(
        f"pruned-{criterion}{end}"
        for criterion in ("random", "l1", "l2", "taylor", "hessian")
        for end in ("", "-finetuned")
    ),
)


def test_every_peer_has_words_and_a_look_of_its_own() -> None:
    methods = describe(PEERS)
    assert len(methods) == len(PEERS) == 19
    assert len({method.label for method in methods}) == len(methods)
    assert all(method.label != method.name for method in methods)
    assert all("without a description" not in method.meaning for method in methods)
    assert len({(method.colour, method.dash) for method in methods}) == len(methods)
    colours = {method.name: method.colour for method in methods}
    for criterion in ("random", "l1", "l2", "taylor", "hessian"):
        assert colours[f"pruned-{criterion}"] == colours[f"pruned-{criterion}-finetuned"]


def test_many_methods_are_spread_over_two_figures() -> None:
    methods = resnet_inputs().methods
    first, second = words(drawn("many")), words(drawn("peers"))
    for label in ("Slimmable", "Integral network", "Pruned (L1), fine-tuned"):
        assert label in first
    below = {method.label for method in below_figure(resnet_inputs())}
    assert below == {"Bypass floor"}
    for label in ("Pruned (Taylor)", "Pruned (random), fine-tuned", "NeuMeta, noise-free"):
        assert label not in first and label in second
    for title in ("Pruned, no training", "Pruned, then fine-tuned", "Variants"):
        assert title in second
    assert len(methods) == 19 and len(first_figure(methods)) == 9
    # What is measured in one figure or the other is together everything.
    for method in methods:
        assert method.label in first or method.label in second or method.label in below


def marks(svg: str, label: str, named: list[str]) -> list[float]:
    """Heights, in SVG units from the top, of the marks of one method; the legend's is last."""
    colour = next(look.colour for look in describe(named) if look.label == label)
    found = re.findall(rf'<use [^>]*y="([\d.-]+)"[^>]*stroke: {light(colour)}', svg)
    return [float(place) for place in found]


def test_the_first_figure_is_zoomed_on_what_competes() -> None:
    """A floor near chance does not press together what lies within two points."""
    rows = [result_row("neumeta", width, 0.90 + 0.001 * width, 0) for width in (8, 12, 16)]
    rows += [result_row("individual", width, 0.91, 0) for width in (8, 16)]
    rows += [result_row("bypass", width, 0.1) for width in (8, 12, 16)]
    inputs = inputs_of(table(rows), dataset=CIFAR)
    drawing = accuracy_figure(inputs, "width")
    assert [method.name for method in below_figure(inputs)] == ["bypass"]
    text = words(drawing.svg)
    assert "Bypass floor" not in text and "91 %" in text and "10 %" not in text
    *ours, _ = marks(drawing.svg, "NeuMeta", ["neumeta"])
    assert max(ours) - min(ours) > 0.5 * (drawing.bottom - drawing.top)
    page = Reader(build_report(inputs).files["index.html"]).text
    assert "What leaves the picture scores less; below it at every width: Bypass floor." in page


def test_a_curve_at_one_hundred_per_cent_is_drawn() -> None:
    rows = [result_row("neumeta", width, 1.0, 0) for width in (8, 12, 16)]
    rows += [result_row("individual", width, 0.98, 0) for width in (8, 12, 16)]
    drawing = accuracy_figure(inputs_of(table(rows)), "width")
    *ours, _ = marks(drawing.svg, "NeuMeta", ["neumeta"])
    assert len(ours) == 3 and all(drawing.top < y < drawing.bottom for y in ours)
    assert "100 %" in words(drawing.svg)


def test_widths_are_marked_where_they_were_measured() -> None:
    rows = [result_row("neumeta", width, 0.9, 0) for width in (5, 9, 17, 23)]
    axis = words(accuracy_figure(inputs_of(table(rows)), "width").svg).split("base width")[0]
    assert [word for word in axis.split() if word.isdigit()][-4:] == ["5", "9", "17", "23"]


def test_few_methods_need_no_second_figure() -> None:
    methods = digits().methods
    assert first_figure(methods) == methods
    assert peers_figure(digits()).svg == ""
    assert "NeuMeta, noise-free" in words(drawn("width"))


def test_a_panel_without_methods_is_left_out() -> None:
    rows = resnet_like()
    kept = rows[~rows["method"].str.endswith(("-finetuned", "noise-free", "distilled"))]
    extra = kept[kept["method"] == "pruned-l2"].assign(method="unknown-method")
    text = words(peers_figure(inputs_of(pd.concat([kept, extra]))).svg)
    assert "Pruned, no training" in text
    assert "then fine-tuned" not in text and "Variants" not in text


def test_sizes_of_one_magnitude_get_round_marks() -> None:
    text = words(accuracy_figure(resnet_inputs(), "params").svg)
    assert "220k" in text and "270k" in text and "log scale" not in text.split("parameters")[1]
    other = words(drawn("params"))
    assert "parameters of the whole network (log scale)" in other
    assert "10k" in other and "100k" in other


def test_the_drop_figure_names_only_curves_inside_it() -> None:
    text = words(drawn("drop"))
    assert "NeuMeta, published" in text and "Slimmable" in text
    assert "Bypass floor" not in text  # 15 points down, out of the picture
    assert "points below the base" in text
    plain = words(drop_figure(digits()).svg)
    assert "published" not in plain


def test_the_drop_figure_without_a_base_says_so() -> None:
    rows = table([result_row("neumeta", width, 0.9, 0) for width in (4, 8)])
    assert "no base network measured" in words(drop_figure(inputs_of(rows)).svg)


def test_published_stars_lie_inside_the_drop_figure() -> None:
    """The deepest published point, 3.04 below its base, sets the depth of the picture."""
    text = words(drawn("drop")).split()
    assert "3" in text[: text.index("NeuMeta")]
