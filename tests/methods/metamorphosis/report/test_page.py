"""The page: whole, alone, escaped, and the same on every run."""

import itertools
import json
import math
import re
from html import unescape

import pytest
from ruamel.yaml import YAML

from neumeta.core.errors import UserError
from neumeta.methods.metamorphosis.report.page import build_report
from neumeta.report.blocks import Report
from tests.methods.metamorphosis.report.samples import (
    CIFAR,
    DIGITS,
    PARAMS,
    RUNS,
    digits_like,
    inputs_of,
    resnet_inputs,
    resnet_like,
    result_row,
    table,
)
from tests.report.reader import Reader

SIZES = ("4\u202f234", "64\u202f000")  # parameters and MACs at width 4


@pytest.fixture(scope="module")
def html(digits_report: Report) -> str:
    return digits_report.files["index.html"]


@pytest.fixture(scope="module")
def reader(html: str) -> Reader:
    return Reader(html)


def test_a_second_build_from_shuffled_rows_is_byte_identical(digits_report: Report) -> None:
    shuffled = digits_like().sample(frac=1, random_state=3)
    assert build_report(inputs_of(shuffled)) == digits_report


def test_files_are_those_promised(digits_report: Report) -> None:
    assert sorted(digits_report.files) == [
        "ablations.csv",
        "accuracy_vs_cost.svg",
        "accuracy_vs_params.svg",
        "accuracy_vs_width.csv",
        "accuracy_vs_width.svg",
        "curve.csv",
        "drop_from_base.svg",
        "index.html",
        "losses.svg",
        "measurements.csv",
        "metrics.json",
        "variation.svg",
    ]


def test_nothing_is_loaded_from_outside(html: str, reader: Reader) -> None:
    for tag, target in reader.references:
        if tag == "a":  # a link loads nothing before it is followed
            assert target.startswith(("#", "data:", "../index.html"))
        else:
            assert target.startswith(("#", "data:")), (tag, target)
    assert re.findall(r"url\((?!#)[^)]*\)", html) == []
    assert "@import" not in html and "http://" not in html and "https://" not in html


def test_ids_are_unique_and_links_arrive(reader: Reader) -> None:
    assert len(reader.ids) == len(set(reader.ids))
    inner = {target[1:] for tag, target in reader.references if tag == "a" and target[0] == "#"}
    assert inner <= set(reader.ids)


def test_headings_form_an_outline(reader: Reader) -> None:
    levels = [int(tag[1]) for tag in reader.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_page_shows_everything_it_owes(reader: Reader) -> None:
    for text in (
        "LeNet on handwritten digits",
        "98.2 % at width 24",
        "trained width",
        "binomial standard error",
        "n = 3",
        "64 906",
        "1 024 000",
        'neumeta.load("data/experiments/digits-lenet/inr/seed-0.safetensors")',
        "family.sample(width=19)",
        'load_file("data/datasets/digits.safetensors")',
        "neumeta evaluate data/experiments/digits-lenet/inr/seed-0.safetensors --width 19 "
        "--dataset data/datasets/digits.safetensors",
        "812k values (3.2 MB), more than any network it makes",
        "1619.7",
        "−23.3 %",
        "2.1e-06",
        "3 min 7 s",
        "probe_widths",
        "probe_widths: [8, 12, 16, 20, 24]",
        "ab" * 32,
        "For each width alone, what the INR makes is trained from scratch;",
    ):
        assert text in reader.text, text


def test_parameters_are_folded_yaml_one_part_of_them_each(html: str) -> None:
    record = html[html.index('<details id="record">') :]
    for key, value in PARAMS.items():
        part = record[record.index(f'<details id="params-{key}">') :].split("</details>")[0]
        code = unescape(re.search(r"<code>(.*?)</code>", part, re.DOTALL)[1])  # type: ignore[index]
        assert YAML(typ="safe", pure=True).load(code) == {key: value}
        assert "{" not in code  # no mapping is pressed into a line
    assert "widths, seeds, noise, encoding, losses, probe_widths</span>" in record


def test_nothing_on_a_page_tells_of_the_day_it_was_written(html: str) -> None:
    assert "revision of this page" not in html
    assert not re.search(r"\b20\d\d-\d\d-\d\d\b", html)


def test_embedded_rows_are_those_of_the_table(reader: Reader) -> None:
    widths = json.loads(reader.data)
    assert [entry["at"] for entry in widths] == list(range(4, 25))
    assert [entry["strong"] for entry in widths] == [width >= 8 for width in range(4, 25)]
    accuracy, spread, reach, n, *_ = widths[-1]["rows"][3]  # of the base network
    assert (accuracy, spread, reach, n) == ("98.3\u202f%", "", "", "1")
    assert widths[0]["rows"][3][2] == "only at width 24"


def test_hostile_text_stays_text() -> None:
    evil = '"><script>alert(1)</script>'
    rows = [result_row(evil, width, 0.9, 0) for width in (4, 8)]
    report = {"title": evil, "summary": evil}
    dataset = DIGITS.model_copy(update={"name": evil, "content_sha256": evil, "sizes": {evil: 3}})
    inputs = inputs_of(
        table(rows),
        experiment=evil,
        params={**PARAMS, evil: evil, "report": report},
        dataset=dataset,
        runs=(RUNS[0].model_copy(update={"stage": evil, "device": evil}),),
    )
    html = build_report(inputs).files["index.html"]
    assert "<script>alert" not in html
    reader = Reader(html)
    assert reader.tags.count("script") == 2
    assert reader.text.count("alert(1)") >= 8
    # What is in the page for scripts is text there, too.
    assert json.loads(reader.data)[0]["rows"] == [
        ["90.0\u202f%", "", "", "1", "0.100", *SIZES, "–"]
    ]


def test_page_with_little_data() -> None:
    rows = [result_row("inn", 8, math.nan, 0), result_row("inn", 9, 0.5, 0)]
    inputs = inputs_of(
        table(rows),
        dataset=DIGITS.model_copy(update={"name": "unknown", "sizes": {}}),
        runs=(),
        params={},
        inr=None,
    )
    reader = Reader(build_report(inputs).files["index.html"])
    assert "no NeuMeta rows" in reader.text
    assert "no finite accuracy" in reader.data
    assert "Stage times" not in reader.text and "standard error" not in reader.text
    assert "nan" not in reader.text.lower()


def test_methods_of_another_size_show_it() -> None:
    rows = [result_row("neumeta", 8, 0.9, 0), result_row("individual", 8, 0.8, 0)]
    rows[1]["params"] = 99_999
    reader = Reader(build_report(inputs_of(table(rows))).files["index.html"])
    assert "99 999 params" in reader.text


def test_mnist_sized_test_sets_get_two_decimals() -> None:
    report = build_report(inputs_of(digits_like(), dataset=CIFAR))
    assert "98.33\u202f%" in report.files["index.html"]


@pytest.fixture(scope="module")
def resnet() -> Reader:
    return Reader(build_report(resnet_inputs()).files["index.html"])


def test_a_resnet_shows_drops_ablations_peers_and_sizes(resnet: Reader) -> None:
    for text in (
        "Drop from the base network",
        "h = 16 25 % kept, not trained",
        "h = 48 75 % kept",
        "NeuMeta, published base 92.60 %",
        "1.28 91.32 %",
        "Further methods",
        "Pruned (Hessian), fine-tuned",
        "Ablations",
        "Residual connections",
        "without residual dead generator in 1 of 3 seeds",
        "253 242 parameters",
        "34 538 944 MACs",
        "75.0 % of the morphing channels kept",
        "of it made by the INR 73 856 27.2 %",
        "of it kept as trained 197 834 72.8 %",
        "The INR itself 1 270 000 4.67 times the whole network, 17.2 times the part it makes",
        "Channels kept",
    ):
        assert text in resnet.text, text
    assert len(resnet.ids) == len(set(resnet.ids))
    inner = {target[1:] for tag, target in resnet.references if tag == "a" and target[0] == "#"}
    assert inner | {"drop", "peers", "ablations"} <= set(resnet.ids)
    levels = [int(tag[1]) for tag in resnet.tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_all_methods_stand_in_the_picker_and_the_main_ones_in_the_table() -> None:
    html = build_report(resnet_inputs()).files["index.html"]
    every = resnet_inputs().methods
    assert {method.name for method in every} == set(resnet_like()["method"])
    picker = html[html.index('<div class="picker"') :].split("</table>")[0]
    labels = re.findall(r'<th scope="row"><svg.*?</svg> (.*?)</th>', picker)
    assert labels == [method.label for method in every]
    head = html[html.index('<table class="sortable compact">') :].split("</thead>")[0]
    assert "Slimmable" in head and "Taylor" not in head and "noise-free" not in head
    assert "Base network" not in head  # it has one width: a sentence says it
    assert "The base network scores 91.73\u202f%." in html
    rows = html[html.index('<table class="sortable compact">') :].split("</table>")[0]
    counts = {line.count("<td") for line in re.split(r"<tr", rows)[2:]}
    assert counts == {head.count("<th ") - 1}


def test_everything_but_the_first_screen_is_folded(reader: Reader, html: str) -> None:
    start = html.index("<details")
    assert html.index('id="figure-width"') < html.index('class="keys"') < start
    assert html[:start].count("<table") == 1 and html[:start].count("<figure") == 1
    after = html[start : html.index("</main>")]
    while (
        fewer := re.sub(r"<details((?!<details).)*?</details>", "", after, flags=re.DOTALL)
    ) != after:
        after = fewer  # from the innermost outwards
    assert after.strip() == ""
    assert reader.tags.count("details") == reader.tags.count("summary") == 10 + len(PARAMS)
    assert "<details open" not in html


def test_tables_are_captioned_and_scoped(html: str) -> None:
    tables = re.findall(r"<table.*?</table>", html, re.DOTALL)
    assert len(tables) > 4 and all("<caption>" in made for made in tables)
    assert not re.findall(r"<th(?! scope=)[ >]", html)


def test_long_table_holds_every_row_twice(digits_report: Report) -> None:
    lines = digits_report.files["measurements.csv"].splitlines()
    wide = digits_report.files["accuracy_vs_width.csv"].splitlines()
    assert len(lines) - 1 == 2 * (len(wide) - 1)
    assert lines[0] == "method,item,width,seed,split,metric,value,n,params,macs,stored_bytes"
    assert lines[1] == "base,digits-lenet,24,,test,accuracy,0.9833,540,145354,2304000,581416"
    (first, *_) = [line for line in lines if line.startswith("neumeta,digits-lenet,4,0,test,acc")]
    assert first.endswith(",540,4234,64000,3249380")  # the file of the INR


def test_an_inr_that_was_measured_but_is_not_stored_is_an_error() -> None:
    inputs = inputs_of(digits_like())
    assert inputs.inr is not None
    missing = inputs.inr._replace(stored={0: 1, 1: 1})
    with pytest.raises(UserError, match="no INR of seed 2"):
        build_report(inputs_of(digits_like(), inr=missing))


def test_sections_without_content_are_absent(reader: Reader) -> None:
    for text in ("Ablations", "Further methods", "published", "kept as trained"):
        assert text not in reader.text, text
    for name in ("ablations", "peers"):
        assert name not in reader.ids
    assert "Drop from the base network" in reader.text
    alone = table([result_row("neumeta", width, 0.9, 0) for width in (4, 8)])
    assert "Drop" not in Reader(build_report(inputs_of(alone)).files["index.html"]).text
