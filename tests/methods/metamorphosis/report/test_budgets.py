"""Budgets in words, against the parameters they are read from."""

from typing import Any

import pytest

from neumeta.methods.metamorphosis.report.budgets import budget
from neumeta.report.wording import SPACE

PARAMS: dict[str, Any] = {
    "train": {"warm_start": {"steps": 800}, "task": {"steps": 4800, "batch_size": 512}},
    "baselines": {
        "individual": {"recipe": {"epochs": 25, "steps": None, "batch_size": 64}},
        "distilled": {
            "recipe": {"steps": 100, "batch_size": 128},
            "losses": {"task": 1.0, "distillation": 1.0},
        },
        "slimmable": {"recipe": {"steps": 100, "batch_size": 128}, "random_widths": 2},
        "integral": {
            "recipe": {"steps": 100, "batch_size": 128},
            "losses": {"task": 1.0, "distillation": 0.0},
        },
        "pruned": {"recipe": {"steps": 90, "batch_size": 32}},
    },
}


@pytest.mark.parametrize(
    ("method", "text"),
    [
        (
            "neumeta",
            "800 warm-start and 4 800 task steps of batch 512, for all widths together.",
        ),
        ("individual", "25 epochs of batch 64, each network."),
        (
            "individual-distilled",
            "100 steps of batch 128, each network, with the base network as teacher.",
        ),
        ("slimmable", "100 steps of batch 128, 4 widths a step, for all widths together."),
        ("integral", "100 steps of batch 128, for all widths together."),
        ("pruned-taylor-finetuned", "90 steps of batch 32, each network."),
        ("pruned-taylor", ""),
        ("interpolated", ""),
        ("unheard-of", ""),
    ],
)
def test_every_trained_method_states_its_budget(method: str, text: str) -> None:
    assert budget(method, PARAMS).replace(SPACE, " ") == text


def test_coarse_steps_are_told() -> None:
    coarse = {
        "share": 0.25,
        "widths": {"start": 32, "stop": 48, "step": 1},
        "grids": {"start": 16, "stop": 31, "step": 1},
    }
    text = budget("neumeta", {"train": PARAMS["train"] | {"coarse": coarse}})
    assert text.replace(SPACE, " ").endswith(
        "In 25 % of the task steps a network of width 32 to 48 is told of a grid of 16 to 31."
    )


def test_nothing_is_said_where_nothing_is_known() -> None:
    for method in ("neumeta", "individual", "slimmable"):
        assert budget(method, {}) == ""
        assert budget(method, {"baselines": {"individual": None, "slimmable": None}}) == ""
