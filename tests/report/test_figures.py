"""What all figures share: colours, the axis of accuracies, and how they come into a page."""

import ast
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from neumeta.report import figures
from neumeta.report.palette import PALETTE, light
from tests.toy import ROOT

if TYPE_CHECKING:  # the settings of matplotlib are what is tested
    from matplotlib.axes import Axes


def drawn() -> str:
    """A small figure."""
    with figures.look():
        figure = figures.new_figure(200)
        axes = figure.add_subplot()
        figures.shade_trained(axes, {4: False, 8: True, 12: True, 16: False, 20: True}, "trained")
        (line,) = axes.plot([4, 20], figures.Accuracies().height([0.2, 0.99]), color=light("blue"))
        figures.Accuracies().label(axes, [0.2, 0.99])
        figures.legend(figure, [line])
        return figures.saved(figure).svg


def test_equal_figures_are_equal_bytes_without_a_date() -> None:
    assert drawn() == drawn()
    assert "<dc:date>" not in drawn() and ET.fromstring(drawn()).tag.endswith("svg")


DAMAGED = b"\xff\xfe\x00bad"


@pytest.mark.parametrize(
    ("variables", "files"),
    [
        ({"MPLBACKEND": "module://matplotlib_inline.backend_inline"}, {}),
        ({"MPLBACKEND": "foo"}, {}),
        ({"MATPLOTLIBRC": "rc"}, {"rc": b"font.size: 20\ntext.usetex: True\nbackend: foo\n"}),
        ({"MATPLOTLIBRC": "rc"}, {"rc": DAMAGED}),
        ({}, {"matplotlibrc": DAMAGED}),
        ({"MPLCONFIGDIR": "."}, {"matplotlibrc": DAMAGED, "stylelib/bad.mplstyle": DAMAGED}),
        ({"MPLCONFIGDIR": "."}, {"stylelib/default.mplstyle": b"font.size: 40\n"}),
        ({"MPLCONFIGDIR": "/proc/none", "HOME": "/proc/none"}, {}),
        ({"LC_ALL": "tr_TR.UTF-8", "PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-8"}, {}),
    ],
)
def test_settings_of_the_user_change_no_byte(
    tmp_path: Path, variables: dict[str, str], files: dict[str, bytes]
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", "from tests.report.test_figures import drawn; print(drawn())"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode() == drawn() + "\n"


def imports(path: Path) -> set[str]:
    """Full names of the modules that a file imports, and the packages they are in."""
    nodes = [*ast.walk(ast.parse(path.read_text("utf-8")))]
    names = {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
    return names | {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}


def test_matplotlib_is_imported_by_the_kit_first() -> None:
    """Any other first import would read the settings of the user."""
    drawing = [
        path
        for path in sorted((ROOT / "neumeta").rglob("*.py"))
        if any(name.split(".")[0] == "matplotlib" for name in imports(path))
    ]
    assert len(drawing) >= 3
    for path in drawing:
        first = imports(path.parent / "__init__.py")
        assert first & {"neumeta.report", "neumeta.report._matplotlib"}, path


def test_a_run_of_trained_values_is_one_shade() -> None:
    tint = drawn().count(light("tint"))
    assert tint == 2  # 8 to 12, and 20


def test_an_inlined_figure_has_its_own_ids_and_the_colours_of_the_page() -> None:
    svg = figures.inline(drawn(), "fig")
    assert "var(--blue)" in svg and "var(--tint)" in svg and light("blue") not in svg
    ids = [node.get("id") for node in ET.fromstring(svg).iter() if node.get("id")]
    assert ids and all(name and name.startswith("fig-") for name in ids)


def test_places_are_those_of_the_values() -> None:
    with figures.look():
        figure = figures.new_figure(200, 400)
        axes = figure.add_subplot()
        axes.set_xlim(0, 10)
        drawing = figures.saved(figure, axes, [0, 5, 10])
    assert drawing.x[5] == pytest.approx((drawing.x[0] + drawing.x[10]) / 2, abs=0.02)
    assert 0 < drawing.x[0] < drawing.x[10] < 400 and 0 < drawing.top < drawing.bottom < 200


def test_accuracy_axis_spreads_small_errors() -> None:
    zero, nine, ninetynine = figures.Accuracies().height([0.0, 0.9, 0.99])
    assert zero == 0
    assert nine == pytest.approx(1) and ninetynine == pytest.approx(2)


def labels(axes: "Axes") -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def test_no_error_is_half_an_example_and_inside_the_axis() -> None:
    scale = figures.Accuracies(540)
    assert scale.height(1.0) == pytest.approx(-np.log10(0.5 / 540))
    assert scale.height(539 / 540) < scale.height(1.0)  # one error is still another place
    axes = figures.new_figure(300).add_subplot()
    scale.label(axes, [0.9, 1.0])
    bottom, top = axes.get_ylim()
    assert bottom < scale.height(0.9) < scale.height(1.0) < top
    assert labels(axes)[0] == "100 %" and "99 %" in labels(axes)


@pytest.mark.parametrize("values", [(0.0, 1.0), (0.897, 0.917), (0.99, 0.992), (0.5, 0.5)])
def test_an_axis_has_labels_and_a_grid_on_any_range(values: tuple[float, float]) -> None:
    axes = figures.new_figure(300).add_subplot()
    for _ in range(2):  # drawn twice it has them still
        figures.Accuracies(10_000).label(axes, values)
    assert len(labels(axes)) >= 4 and all(0 <= float(text[:-2]) <= 100 for text in labels(axes))
    assert all(line.get_visible() for line in axes.get_ygridlines())


@pytest.mark.parametrize(
    ("widths", "marks", "wanted"),
    [
        ([16, 24, 32, 48, 64], 14, [16, 24, 32, 48, 64]),
        (range(16, 65), 14, range(16, 65, 4)),
        (range(4, 25), 14, range(4, 25, 2)),
        (range(4, 33), 8, range(4, 33, 4)),
        (range(16, 66), 14, [*range(16, 61, 4), 65]),
        ([7], 14, [7]),
        ([], 14, []),
        ([3, 300, 301, 1000], 4, [3, 300, 1000]),
    ],
)
def test_marks_stand_at_widths_that_were_measured(
    widths: list[int], marks: int, wanted: list[int]
) -> None:
    axes = figures.new_figure(300).add_subplot()
    figures.width_axis(axes, widths, marks)
    assert list(axes.get_xticks()) == list(wanted)


def luminance(colour: str) -> float:
    """Relative luminance of a hex colour, as WCAG defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "tint"])
def test_lines_and_text_stand_out(mode: int, ground: str) -> None:
    behind = luminance(PALETTE[ground][mode])
    for name, shades in PALETTE.items():
        if name in ("paper", "tint", "grid"):
            continue
        front = luminance(shades[mode])
        contrast = (max(front, behind) + 0.05) / (min(front, behind) + 0.05)
        wanted = 4.5 if name in ("ink", "muted", "blue") else 3.0
        assert contrast >= wanted, f"{name} on {ground}: {contrast:.2f}"


def test_palette_values_can_be_told_apart() -> None:
    assert len({light(name) for name in PALETTE}) == len(PALETTE)
