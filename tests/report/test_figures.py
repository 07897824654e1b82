"""The figures: sound SVG, equal bytes, any set of methods."""

import functools
import math
import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from neumeta.report import Variation, VariationGroup
from neumeta.report.accuracy import accuracy_figure
from neumeta.report.drops import drop_figure
from neumeta.report.losses import losses_figure
from neumeta.report.methods import describe
from neumeta.report.palette import PALETTE
from neumeta.report.peers import further_methods, peers_figure
from neumeta.report.style import accuracy_height, inline
from neumeta.report.tables import statistics
from neumeta.report.variation import variation_figure
from tests.report.samples import (
    VARIATION,
    base_history,
    digits_like,
    facts_of,
    resnet_facts,
    resnet_like,
    result_row,
    table,
    train_history,
)

DRAW: dict[str, Callable[[bool], str]] = {
    "width": lambda narrow: accuracy_figure(statistics(digits_like()), "width", narrow).svg,
    "params": lambda narrow: accuracy_figure(statistics(digits_like()), "params", narrow).svg,
    "variation": lambda narrow: variation_figure(VARIATION, narrow),
    "losses": lambda narrow: losses_figure(base_history(), train_history(), narrow),
    "drop": lambda narrow: drop_figure(resnet_facts(), narrow),
    "peers": lambda narrow: peers_figure(statistics(resnet_like()), narrow),
    "many": lambda narrow: accuracy_figure(statistics(resnet_like()), "width", narrow).svg,
}


@functools.cache
def drawn(name: str, narrow: bool = False) -> str:
    """A figure, drawn once for all tests."""
    return DRAW[name](narrow)


def words(svg: str) -> str:
    """All text of a figure."""
    return " ".join("".join(node.itertext()) for node in ET.fromstring(svg).iter() if node.text)


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("name", DRAW)
def test_figures_are_sound_and_reproducible(name: str, narrow: bool) -> None:
    svg = drawn(name, narrow)
    assert ET.fromstring(svg).tag.endswith("svg")
    assert svg == DRAW[name](narrow)


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
    for shade in PALETTE.values():
        assert shade.light not in svg
    # Whatever is left would not follow the dark mode.
    assert "#000000" not in svg and "#ffffff" not in svg


def test_every_method_is_named_even_an_unknown_one() -> None:
    names = ["neumeta", "sliced", "pruned-<taylor>", "$x^2$"]
    rows = [result_row(name, width, 0.9, 0) for name in names for width in (4, 8)]
    text = words(accuracy_figure(statistics(table(rows)), "width").svg)
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
def test_odd_tables_are_drawn(rows: list[dict[str, object]], against: str) -> None:
    svg = accuracy_figure(statistics(table(rows)), against).svg  # type: ignore[arg-type]
    assert ET.fromstring(svg).tag.endswith("svg")
    assert "nan" not in svg


def test_places_of_widths_are_evenly_spaced_and_inside() -> None:
    drawing = accuracy_figure(statistics(digits_like()), "width")
    places = [drawing.x[width] for width in range(4, 25)]
    steps = np.diff(places)
    assert steps.min() > 20 and np.allclose(steps, steps[0], atol=0.02)
    assert min(places) > 0 and max(places) < 800
    assert drawing.top < drawing.bottom


def test_accuracy_axis_spreads_small_errors() -> None:
    zero, nine, ninetynine = accuracy_height([0.0, 0.9, 0.99])
    assert zero == 0
    assert nine == pytest.approx(1) and ninetynine == pytest.approx(2)
    assert np.isfinite(accuracy_height(1.0))


def test_losses_without_a_phase_or_validation() -> None:
    rows = train_history()
    warm = rows[rows["phase"] == "warm"]
    text = words(losses_figure(base_history(), warm))
    assert "INR, warm start" in text
    assert "task phase" not in text and "validation" not in text
    assert "Base network" in words(losses_figure(base_history(), rows.iloc[:0]))
    assert losses_figure(base_history().iloc[:0], rows.iloc[:0]).startswith("<?xml")


def test_variation_names_groups_and_changes() -> None:
    text = words(variation_figure(VARIATION)).replace("\u202f", " ")
    assert "conv1" in text and "−23.3 %" in text and "96 channels" in text
    flat = Variation((VariationGroup("fc", 1, 0.0, 0.0, 0.0),), 0.0, 0.0, 0.0, 0.0, 0.0, 1e-5, 1)
    assert "fc" in words(variation_figure(flat))


def luminance(colour: str) -> float:
    """Relative luminance of a hex colour, as WCAG defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "tint"])
def test_lines_and_text_stand_out(mode: str, ground: str) -> None:
    behind = luminance(getattr(PALETTE[ground], mode))
    for name, shade in PALETTE.items():
        if name in ("paper", "tint", "grid"):
            continue
        front = luminance(getattr(shade, mode))
        contrast = (max(front, behind) + 0.05) / (min(front, behind) + 0.05)
        wanted = 4.5 if name in ("ink", "muted", "blue") else 3.0
        assert contrast >= wanted, f"{name} on {ground}, {mode}: {contrast:.2f}"


def test_palette_values_can_be_told_apart() -> None:
    assert len({shade.light for shade in PALETTE.values()}) == len(PALETTE)


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
    stats = statistics(resnet_like())
    first, second = words(drawn("many")), words(drawn("peers"))
    for label in ("Slimmable", "Integral network", "Pruned (L1), fine-tuned", "Bypass floor"):
        assert label in first
    for label in ("Pruned (Taylor)", "Pruned (random), fine-tuned", "NeuMeta, noise-free"):
        assert label not in first and label in second
    for title in ("Pruned, no training", "Pruned, then fine-tuned", "Variants"):
        assert title in second
    assert len(further_methods(stats)) == 19 - 9
    # What is measured in one figure or the other is together everything.
    for method in describe(stats):
        assert method.label in first or method.label in second


def test_few_methods_need_no_second_figure() -> None:
    stats = statistics(digits_like())
    assert further_methods(stats) == []
    assert peers_figure(stats) == ""
    assert "NeuMeta, noise-free" in words(drawn("width"))


def test_a_panel_without_methods_is_left_out() -> None:
    rows = resnet_like()
    kept = rows[~rows["method"].str.endswith(("-finetuned", "noise-free", "distilled"))]
    extra = kept[kept["method"] == "pruned-l2"].assign(method="unknown-method")
    text = words(peers_figure(statistics(pd.concat([kept, extra]))))
    assert "Pruned, no training" in text
    assert "then fine-tuned" not in text and "Variants" not in text


def test_sizes_of_one_magnitude_get_round_marks() -> None:
    text = words(accuracy_figure(statistics(resnet_like()), "params").svg)
    assert "220k" in text and "270k" in text and "log scale" not in text.split("parameters")[1]
    assert "parameters of the whole network (log scale)" in words(drawn("params"))


def test_the_drop_figure_names_only_curves_inside_it() -> None:
    text = words(drawn("drop"))
    assert "NeuMeta, published" in text and "Slimmable" in text
    assert "Bypass floor" not in text  # 15 points down, out of the picture
    assert "points below the base" in text
    plain = words(drop_figure(facts_of(digits_like())))
    assert "published" not in plain


def test_the_drop_figure_without_a_base_says_so() -> None:
    rows = table([result_row("neumeta", width, 0.9, 0) for width in (4, 8)])
    assert "no base network measured" in words(drop_figure(facts_of(rows)))


def test_published_stars_lie_inside_the_drop_figure() -> None:
    """The deepest published point, 3.04 below its base, sets the depth of the picture."""
    text = words(drawn("drop")).split()
    assert "3" in text[: text.index("NeuMeta")]
