"""The page: whole, alone, escaped, and the same on every run."""

import dataclasses
import itertools
import json
import math
import re
from html.parser import HTMLParser

import pytest

from neumeta.report import Dataset, Report, build_report
from tests.report.samples import (
    PARAMS,
    RUNS,
    digits_like,
    facts_of,
    resnet_facts,
    resnet_like,
    result_row,
    table,
)


class Reader(HTMLParser):
    """Collects tags, references and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.data = ""
        self._inside = ""
        self.feed(html)
        self.text = re.sub(r"\s+", " ", " ".join(self.words)).replace("\u202f", " ")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self._inside = tag
        if values.get("id") == "data":
            self._inside = "data"
        self.tags.append(tag)
        self.ids += [value for key, value in attrs if key == "id" and value]
        for key in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
            if values.get(key):
                self.references.append((tag, str(values[key])))

    def handle_data(self, data: str) -> None:
        if self._inside == "data":
            self.data += data
        elif self._inside not in ("style", "script"):
            self.words.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


@pytest.fixture(scope="module")
def html(digits_report: Report) -> str:
    return digits_report.files["index.html"]


@pytest.fixture(scope="module")
def reader(html: str) -> Reader:
    return Reader(html)


def test_a_second_build_from_shuffled_rows_is_byte_identical(digits_report: Report) -> None:
    shuffled = digits_like().sample(frac=1, random_state=3)
    assert build_report(facts_of(shuffled)) == digits_report


def test_files_are_those_promised(digits_report: Report) -> None:
    assert sorted(digits_report.files) == [
        "ablations.csv",
        "accuracy_vs_params.svg",
        "accuracy_vs_width.csv",
        "accuracy_vs_width.svg",
        "curve.csv",
        "drop_from_base.svg",
        "index.html",
        "losses.svg",
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
        "neumeta evaluate data/experiments/digits-lenet/inr/seed-0.safetensors --width 19 "
        "--dataset data/datasets/digits.safetensors",
        "812k values (3.2 MB), more than any network it makes",
        "1619.7",
        "−23.3 %",
        "2.1e-06",
        "3 min 7 s",
        "probe_widths",
        "8, 12, 16, 20, 24",
        "ab" * 32,
        "1a2b3c4",
        "For each width alone, what the INR makes is trained from scratch;",
    ):
        assert text in reader.text, text


def test_embedded_rows_are_those_of_the_table(reader: Reader) -> None:
    widths = json.loads(reader.data)
    assert [entry["width"] for entry in widths] == list(range(4, 25))
    assert [entry["seen"] for entry in widths] == [width >= 8 for width in range(4, 25)]
    cell = widths[-1]["cells"][3]
    assert (cell["method"], cell["accuracy"], cell["n"]) == ("base", "98.3\u202f%", 1)
    assert widths[0]["cells"][3]["note"] == "only at width 24"


def test_hostile_text_stays_text() -> None:
    evil = '"><script>alert(1)</script>'
    rows = [result_row(evil, width, 0.9, 0) for width in (4, 8)]
    report = {"title": evil, "summary": evil}
    facts = facts_of(
        table(rows),
        experiment=evil,
        params={**PARAMS, evil: evil, "report": report},
        dataset=Dataset(evil, evil, {evil: 3}),
        revision=evil,
        runs=(dataclasses.replace(RUNS[0], stage=evil, device=evil),),
    )
    html = build_report(facts).files["index.html"]
    assert "<script>alert" not in html
    reader = Reader(html)
    assert reader.tags.count("script") == 2
    assert reader.text.count("alert(1)") >= 8
    assert json.loads(reader.data)[0]["cells"][0]["method"] == evil


def test_page_with_little_data() -> None:
    rows = [result_row("inn", 8, math.nan, 0), result_row("inn", 9, 0.5, 0)]
    facts = facts_of(
        table(rows),
        dataset=Dataset("unknown", "00", {}),
        runs=(),
        params={},
        revision=None,
        inr=None,
    )
    reader = Reader(build_report(facts).files["index.html"])
    assert "no NeuMeta rows" in reader.text
    assert "not in a repository" in reader.text
    assert "no finite accuracy" in reader.data
    assert "Stage times" not in reader.text and "standard error" not in reader.text
    assert "nan" not in reader.text.lower()


def test_methods_of_another_size_show_it() -> None:
    rows = [result_row("neumeta", 8, 0.9, 0), result_row("individual", 8, 0.8, 0)]
    rows[1]["params"] = 99_999
    reader = Reader(build_report(facts_of(table(rows))).files["index.html"])
    assert "99 999 params" in reader.text


def test_mnist_sized_test_sets_get_two_decimals() -> None:
    dataset = Dataset("mnist", "00", {"test": 10_000})
    report = build_report(facts_of(digits_like(), dataset=dataset))
    assert "98.33\u202f%" in report.files["index.html"]


@pytest.fixture(scope="module")
def resnet() -> Reader:
    return Reader(build_report(resnet_facts()).files["index.html"])


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
    assert {"drop", "peers", "ablations"} <= inner <= set(resnet.ids)
    levels = [int(tag[1]) for tag in resnet.tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_all_methods_stand_in_the_picker_and_the_main_ones_in_the_table() -> None:
    html = build_report(resnet_facts()).files["index.html"]
    every = set(resnet_like()["method"])
    assert set(re.findall(r'<tr data-method="([^"]+)"', html)) == every
    head = html[html.index('<table class="all sortable">') :].split("</thead>")[0]
    assert "Slimmable" in head and "Taylor" not in head and "noise-free" not in head
    assert "Base network" not in head  # it has one width: a sentence says it
    assert "The base network scores 91.73\u202f%." in html
    rows = html[html.index('<table class="all sortable">') :].split("</table>")[0]
    counts = {line.count("<td") for line in re.split(r"<tr", rows)[2:]}
    assert counts == {head.count("<th ") - 1}


def test_sections_without_content_are_absent(reader: Reader) -> None:
    for text in ("Ablations", "Further methods", "published", "kept as trained"):
        assert text not in reader.text, text
    for name in ("ablations", "peers"):
        assert name not in reader.ids
    assert "Drop from the base network" in reader.text
    alone = table([result_row("neumeta", width, 0.9, 0) for width in (4, 8)])
    assert "Drop" not in Reader(build_report(facts_of(alone)).files["index.html"]).text
