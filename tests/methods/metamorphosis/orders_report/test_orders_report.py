"""The report of a study: its numbers are those of the stages, its sentences hold."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from neumeta.core.errors import UserError
from neumeta.core.records import read_json
from neumeta.measure.statistics import Spread
from neumeta.methods.metamorphosis.orders_report.figures import gap_figure, variation_figure
from neumeta.methods.metamorphosis.orders_report.findings import (
    at_most,
    findings,
    headline,
    key_figures,
)
from neumeta.methods.metamorphosis.orders_report.inputs import (
    NetworkOrders,
    StudyInputs,
    StudyInrs,
)
from neumeta.methods.metamorphosis.orders_report.looks import STRATEGIES
from neumeta.methods.metamorphosis.orders_report.page import build_orders_report
from neumeta.methods.metamorphosis.report.budgets import inr_budget
from neumeta.report.blocks import Report
from neumeta.report.overview import Summary, render_overview
from neumeta.report.palette import light
from neumeta.report.wording import SPACE
from tests.methods.metamorphosis.orders_report.samples import inputs, orders_json, study_json


@pytest.fixture
def some(tmp_path: Path) -> StudyInputs:
    return inputs(tmp_path)


@pytest.fixture
def report(some: StudyInputs) -> Report:
    return build_orders_report(some)


def plain(text: str) -> str:
    return text.replace(SPACE, " ")


def test_statistics_are_means_and_gaps_against_the_bound(some: StudyInputs) -> None:
    main = some.main
    assert main.network == "cifar10-resnet20"
    # 3 x 20,000 in paths, 20,000 elsewhere: 0.9 of the paths are 74,000 of 80,000.
    assert main.relative("ours").mean == pytest.approx(74000 / 80000)
    assert main.relative("ours").std == pytest.approx(0)
    assert main.relative("random").std > 0
    assert main.gap("ours") == pytest.approx(0.9 / 0.895 - 1)
    # The worst of three runs, one further in each of two groups.
    assert main.gap("random") == pytest.approx((1.01 * 60000 + 2) / (0.895 * 60000) - 1)
    longest, bound = main.ends("ours")
    assert longest - bound == pytest.approx(60000 * 0.005)
    assert main.groups[0].gap("original") == pytest.approx(1 / 0.895 - 1)
    assert some.inrs.accuracy("ours", 64) == pytest.approx(Spread(0.907, 0.001, 3))
    assert some.inrs.seen == {16: False, 32: True, 64: True}
    assert "60 task steps of batch 32" in plain(inr_budget(some.inrs.train))


def test_sentences_say_what_was_measured(some: StudyInputs) -> None:
    text = plain(headline(some))
    assert "On all 2 networks" in text and "smoothest of the five orders" in text
    assert "changes the total variation by −7.5 %." in text
    # 0.9 / 0.895 is 0.5587 % above, rounded up.
    assert "within 0.56 % of the shortest in each network" in text
    assert "within 0.56 % in each group (worst: " in text
    assert "reach 90.70 ± 0.10 % at h = 64 and 86.70 ± 0.10 % at h = 16" in text
    assert text.endswith(
        " Highest mean accuracy: layer-wise 2-opt at 3 of 3 widths "
        "(h = 64, 32, 16; the seeds tell it from ours at 64, 32, 16)."
    )
    told = plain(" ".join(findings(some)))
    assert "Published (Table 1): −21.6 %, 58 141.80 to 45 576.02." in told
    assert "it is −7.5 %, 80 000.00 to 74 000.00, in the sum over all weights" in told
    # 80,000 x 45,576.02 / 58,141.80 = 62,710.17, where 300 of 74,000 are left to gain.
    assert "worst run by 300.00 at most; 11 289.84 are missing" in told
    assert "against those from the original one: 0.60 ± 0.00 points above;" in told
    assert "published is a difference of +0.25 points" in told
    assert "h = 64: layer-wise 2-opt, 90.90 ± 0.10 % (ours: 0.20 ± 0.00 points below)" in told
    assert "Dead generators" not in told
    assert [plain(figure.value) for figure in key_figures(some)] == [
        "−7.5 %",
        "0.56 %",
        "0.56 %",
        "90.70 %",
    ]


def test_sentences_change_with_what_was_measured(tmp_path: Path) -> None:
    worse = inputs(tmp_path, ours=0.85, original=0.90)
    assert "the original one: 5.00 ± 0.00 points below" in plain(" ".join(findings(worse)))
    rough = orders_json("mnist-lenet")
    for run in rough["runs"]:
        if run["strategy"] == "ours":
            run["variation"] *= 2
    for row in (broken := study_json())["rows"]:
        row["collapsed"] = (row["strategy"], row["seed"]) == ("random", 1)
    (tmp_path / "mnist-lenet.json").write_text(json.dumps(rough))
    (tmp_path / "study.json").write_text(json.dumps(broken))
    changed = StudyInputs(
        worse.study,
        [worse.main, read_json(tmp_path / "mnist-lenet.json", NetworkOrders)],
        read_json(tmp_path / "study.json", StudyInrs),
    )
    assert "On 1 of 2 networks" in headline(changed)
    told = " ".join(findings(changed))
    assert "Dead generators, which no mean leaves out: random 1." in told
    assert "ublished" not in told  # nothing published is at hand
    assert "against those from the original one: equal." in told
    page = build_orders_report(changed).files["index.html"]
    assert "dead generator in 1 seed" in page and "Published" not in page


def test_the_lead_names_the_order_that_leads_at_each_width(tmp_path: Path) -> None:
    value = study_json(ours=0.906, layer_2_opt=0.908)
    for row in value["rows"]:
        if row["strategy"] == "ours" and row["width"] == 16:
            row["accuracy"] += 0.01
        if row["strategy"] == "ours" and row["width"] == 32:  # seeds that disagree
            row["accuracy"] += 0.003 * (row["seed"] - 1)
    (tmp_path / "own.json").write_text(json.dumps(value))
    known = replace(inputs(tmp_path), inrs=read_json(tmp_path / "own.json", StudyInrs))
    assert headline(known).endswith(
        " Highest mean accuracy: layer-wise 2-opt at 2 of 3 widths "
        "(h = 64, 32; the seeds tell it from ours at 64), ours at 1 of 3 widths (h = 16)."
    )
    equal = inputs(tmp_path, ours=0.9, layer_2_opt=0.9)
    assert "random and layer-wise greedy and layer-wise 2-opt and ours at 3 of 3" in headline(equal)


def test_the_tile_names_the_best_other_order(some: StudyInputs) -> None:
    note = plain(key_figures(some)[-1].note)
    told = "90.90 % from layer-wise 2-opt, the best other order"
    assert note == f"{told}; 90.10 % from the original one; n = 3"


@pytest.mark.parametrize(("split", "word"), [("test", "test"), ("val", "validation")])
def test_the_overview_names_the_split_that_judged(tmp_path: Path, split: str, word: str) -> None:
    (tmp_path / "own.json").write_text(json.dumps(study_json() | {"split": split}))
    known = replace(inputs(tmp_path), inrs=read_json(tmp_path / "own.json", StudyInrs))
    page = plain(render_overview([Summary.model_validate_json(build_orders_report(known).summary)]))
    assert f">{word} accuracy<" in page
    assert ("10 000 validation</small>" in page) == (split == "val")
    assert f"(n = 3 seeds; 10 000 {word} examples)" in plain(headline(known))
    own = plain(build_orders_report(known).files["index.html"])
    assert own.count(f"on 10 000 {word} examples") == 3  # two tables and a figure


def test_files_hold_every_run_and_are_the_same_bytes_again(
    report: Report, some: StudyInputs, tmp_path: Path
) -> None:
    assert set(report.files) == {
        *("index.html", "metrics.json", "variation.csv", "groups.csv", "accuracy.csv"),
        *("variation.svg", "gap.svg", "accuracy.svg"),
    }
    rows = {
        name: list(csv.DictReader(io.StringIO(report.files[f"{name}.csv"])))
        for name in ("variation", "groups", "accuracy")
    }
    assert len(rows["variation"]) == 2 * len(STRATEGIES) * 3
    assert len(rows["groups"]) == 2 * 2 * len(STRATEGIES)
    assert len(rows["accuracy"]) == len(STRATEGIES) * 3 * 3
    first = rows["variation"][0]
    assert (first["network"], first["strategy"]) == ("cifar10-resnet20", "original")
    assert float(first["variation"]) == 80000 and float(first["variation_per_tensor"]) == 20000
    assert float(rows["groups"][0]["gap_of_worst_run"]) == pytest.approx(1 / 0.895 - 1, abs=1e-6)
    metrics = json.loads(report.files["metrics.json"])
    assert metrics["networks"]["mnist-lenet"]["change"] == pytest.approx(-0.075)
    assert metrics["inr_accuracy"]["ours"]["64"] == pytest.approx(0.907)
    assert build_orders_report(inputs(tmp_path)) == report


def test_the_page_shows_the_tables_and_needs_nothing_else(report: Report) -> None:
    page = plain(report.files["index.html"])
    assert "Orders of &lt;channels&gt;" in page and "<channels>" not in page
    assert "default-src 'none'" in page and page.count("<script") == 1  # which opens sections
    assert not re.search(r'(src|href)="(?!#|data:|\.\./index\.html)', page)
    for label in STRATEGIES.values():
        assert label.label in page
    first, row = re.findall(r'<tr class="reference">.*?</tr>', page, re.DOTALL)
    parts = ("ours", "74 000.00", "−7.50", "90.70", ">+0.60<")
    for part in parts:
        assert part in first and part in row, part
    for part in ("18 500.00", "45 576.02", "91.87"):
        assert part in row and part not in first, part
    assert page.count('<details id="groups-') == 2
    # 2 networks x 2 groups with the proven gap of each.
    assert page.count("<td>0.56 %</td></tr>") == 4


def test_figures_name_every_strategy(report: Report) -> None:
    svg = "{http://www.w3.org/2000/svg}"
    for name in ("variation", "gap", "accuracy"):
        root = ET.fromstring(report.files[f"{name}.svg"])
        texts = {"".join(text.itertext()) for text in root.iter(f"{svg}text")}
        assert {label.label for label in STRATEGIES.values()} <= texts
    assert report.files["index.html"].count('class="picture"') == 3


def marks(svg: str, strategy: str) -> list[float]:
    """Horizontal places of the marks of one strategy, by their colour; the legend's is last."""
    colour = light(STRATEGIES[strategy].colour)
    found = re.findall(rf'<use [^>]*x="([\d.]+)"[^>]*style="fill: {colour}', svg)
    return [float(place) for place in found]


def test_marks_stand_where_the_numbers_are(some: StudyInputs) -> None:
    """Places are linear in the total variation: 0.9 of the paths are 92.5 % of the whole."""
    svg = variation_figure(some.networks).svg
    ours, greedy, two_opt = (marks(svg, name) for name in ("ours", "layer-greedy", "layer-2-opt"))
    assert len(ours) == len(greedy) == 2 + 1  # networks, and the legend
    scale = (greedy[0] - ours[0]) / (96.25 - 92.5)
    assert scale > 0
    assert two_opt[0] == pytest.approx(ours[0] + scale * (94.75 - 92.5), abs=0.02)
    assert ours[0] == pytest.approx(ours[1], abs=0.02)  # the same shares in both networks
    gaps = gap_figure(some.networks).svg
    assert marks(gaps, "ours")[0] < marks(gaps, "layer-2-opt")[0] < marks(gaps, "layer-greedy")[0]


def test_a_network_without_a_bound_has_a_dash_and_no_mark(tmp_path: Path) -> None:
    value = orders_json("mnist-lenet")
    for group in value["groups"]:
        group["lower_bound"] = 0.0
    (tmp_path / "bare.json").write_text(json.dumps(value))
    known = inputs(tmp_path)
    bare = replace(known, networks=[known.main, read_json(tmp_path / "bare.json", NetworkOrders)])
    assert bare.networks[1].gap("ours") is None
    assert "of 2 groups there is no bound" in headline(bare)
    page = build_orders_report(bare).files["index.html"]
    assert len(re.findall(r"<td>0.00</td><td>–</td></tr>", page)) == 2


def test_limits_are_rounded_up() -> None:
    assert [plain(at_most(value)) for value in (0.00444, 0.0044, 0.0, None)] == [
        "0.45 %",
        "0.44 %",
        "0.00 %",
        "–",
    ]
    assert plain(at_most(0.1 + 0.2 - 0.3)) == "0.00 %"


def test_the_overview_shows_a_study_like_any_report(report: Report) -> None:
    page = plain(render_overview([Summary.model_validate_json(report.summary)]))
    assert "permutation-study/index.html" in page
    assert "86.70 % <small>h = 16</small>" in page and "91.73 % <small>h = 64</small>" in page
    assert "90.90 % <small>h = 32</small> <small>order: layer-wise 2-opt</small>" in page
    # Furthest below another order at a trained width: 0.2 points at 32 as at 64.
    assert "0.20 points below <small>h = 32</small> <small>order: layer-wise 2-opt" in page


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v.pop("groups"), "groups: Field required"),
        (lambda v: v["groups"][0]["lengths"].pop("ours"), "strategies are"),
        (
            lambda v: v.update(runs=[r for r in v["runs"] if r["strategy"] != "random"]),
            "strategies",
        ),
        (lambda v: v["groups"][0].update(lower_bound="x"), "groups.0.lower_bound: Input"),
        (lambda v: v["runs"].pop(), "as many runs"),
        (lambda v: v["groups"][0]["lengths"]["ours"].pop(), "as many runs"),
    ],
)
def test_a_wrong_file_is_one_line(change: object, words: str, tmp_path: Path) -> None:
    value = orders_json("mnist-lenet")
    assert callable(change)
    change(value)
    path = tmp_path / "mnist-lenet.json"
    path.write_text(json.dumps(value))
    with pytest.raises(UserError, match=words) as caught:
        read_json(path, NetworkOrders)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    for rows in ([{"strategy": "ours"}], study_json()["rows"][:-1], study_json()["rows"] * 2):
        path.write_text(json.dumps({**study_json(), "rows": rows}))
        with pytest.raises(UserError, match="run the stage that writes it again"):
            read_json(path, StudyInrs)
