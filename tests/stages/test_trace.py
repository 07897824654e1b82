"""`neumeta trace`: what of a network can have other sizes, as a table and as a file."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from neumeta.__main__ import main
from neumeta.stages._trace import options_of

OWN = """
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Conv2d(6, 8, 1), nn.Conv2d(8, 6, 1)

    def forward(self, x):
        return x + self.down(self.up(x).relu())

def small(classes=2):
    layers = [nn.Conv2d(1, 6, 3), nn.ReLU(), Block(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(6, classes))
"""
# Parameters: the stem 60, up 56, down 54, the head 7 per class.
WHOLE = 60 + 56 + 54 + 14


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module in the current directory."""
    (tmp_path / "traced_networks.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("traced_networks", None)


def traced(capsys: pytest.CaptureFixture[str], *flags: str) -> list[str]:
    """Lines of the command on the small network."""
    assert main(["trace", "traced_networks:small", "--size", "6", *flags]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    lines = traced(capsys)
    assert lines[:6] == [
        "group  of        units  at 0.5",
        "2.up   channels      8       4",
        "",
        "width  parameters   MACs",
        f"1             {WHOLE}  2,412",
        f"0.5           {WHOLE - 28 - 24}  1,644",
    ]
    assert lines[6:8] == ["", "keeps its size:"]
    assert "  is a residual stream: 0 (6)" in lines
    assert "  is an output of the network: 5.weight axis 0 (2), 5.bias axis 0 (2)" in lines


def test_streams_and_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lines = traced(
        capsys,
        "--streams",
        "--width",
        "0.75",
        "--multiple",
        "2",
        "--json",
        "facts.json",
        "--option",
        "classes=3",
    )
    assert [line.split() for line in lines[1:3]] == [
        ["0", "channels,", "stream", "6", "4"],
        ["2.up", "channels", "8", "6"],
    ]
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts["build"] == "traced_networks:small" and facts["input"] == [2, 1, 6, 6]
    assert facts["groups"][0] == {
        "name": "0",
        "units": 6,
        "units at 0.75": 4,
        "level": "channel",
        "stream": True,
    }
    assert [cost["params"] for cost in facts["costs"]] == [WHOLE + 7, 40 + 30 + 28 + 15]
    assert {"name": "5.weight axis 0", "units": 3, "reason": "is an output of the network"} in (
        facts["held"]
    )


def test_a_scope(capsys: pytest.CaptureFixture[str]) -> None:
    assert "2.up" in traced(capsys, "--scope", "2.*")[1]
    lines = traced(capsys, "--streams", "--scope", "0")
    assert "  is outside the scope: 2.up (8)" in lines and lines[1].startswith("0 ")


@pytest.mark.parametrize(
    ("flags", "status", "said"),
    [
        (["--scope", "layer3.*"], 1, "scope 'layer3.*' fits no group of this network; it has 2, "),
        (["--input", "2,3,6,6"], 1, "on an example of shape 2,3,6,6, which --size or --input"),
        (["--input", "2,0,6,6"], 2, "argument --input: must be 1 or more, not 0"),
        (["--input", "2,3", "--size", "6"], 2, "argument --size: not allowed with argument --in"),
        (["--option", "classes"], 1, "--option 'classes' must be name=value, such as num_classes"),
        (["--option", "classes=[1"], 1, "'[1' is no value of YAML"),
        (["--option", "classes=1", "--option", "classes=2"], 1, "--option classes is given twice"),
        (["--width", "0"], 2, "argument --width: must be a share above 0, at most 4, not '0'"),
        (["--width", "half"], 2, "argument --width: must be a share above 0, at most 4"),
        (["--multiple", "0"], 2, "argument --multiple: must be 1 or more, not 0"),
        (["--json", "facts.txt"], 1, "facts.txt: must end in .json"),
    ],
)
def test_wrong_arguments(
    flags: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        found = main(["trace", "traced_networks:small", *flags])
    except SystemExit as error:
        found = int(str(error.code))
    printed = capsys.readouterr().err
    assert found == status and said in printed and printed.count("\n") == 1


def test_another_file_is_not_written_over(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "other.json").write_text("{}")
    assert main(["trace", "traced_networks:small", "--json", "other.json"]) == 1
    assert "is there, and is not a JSON object with build" in capsys.readouterr().err
    assert (tmp_path / "other.json").read_text() == "{}"


def test_options_are_values_of_yaml() -> None:
    texts = ["a=10", "b=true", "c=[1, 2]", "d=word", "e=0.5", "f=", "g=x=y"]
    wanted = {"a": 10, "b": True, "c": [1, 2], "d": "word", "e": 0.5, "f": None, "g": "x=y"}
    assert options_of(texts) == wanted
