"""How long each method was trained, in words, from the parameters of the experiment."""

from collections.abc import Mapping
from typing import Any

from neumeta.report.wording import percent, whole


def inr_budget(train: Mapping[str, Any]) -> str:
    """Say how long an INR was trained.

    Args:
        train: The section `train`.

    Returns:
        Such as `800 warm-start and 4 800 task steps of batch 512`; empty where the section is cut
        short.
    """
    warm, task = train.get("warm_start") or {}, train.get("task") or {}
    if "steps" not in task:
        return ""
    text = f"{whole(task['steps'])} task steps of batch {task.get('batch_size', '?')}"
    if (each := task.get("widths_per_step", 1)) != 1:
        text += f" at {each} widths each"
    return f"{whole(warm['steps'])} warm-start and {text}" if warm.get("steps") else text


def budget(method: str, params: Mapping[str, Any]) -> str:
    """Say how long the networks of one method were trained.

    Args:
        method: Name of the method, as in the result table.
        params: The sections of the experiment.

    Returns:
        Empty for what is not trained, and where the parameters do not tell.
    """
    if method in ("neumeta", "neumeta-noise-free"):
        train = params.get("train") or {}
        text = inr_budget(train)
        return f"{text}, for all widths together.{_coarse(train)}" if text else ""
    if method.startswith("pruned-") and method.endswith("-finetuned"):
        kind = "pruned"
    else:
        kind = {"individual-distilled": "distilled"}.get(method, method)
    section = (params.get("baselines") or {}).get(kind) or {}
    if not (length := _length(section.get("recipe") or {})):
        return ""
    each = "for all widths together" if kind in ("slimmable", "integral") else "each network"
    if kind == "slimmable":
        each = f"{2 + section.get('random_widths', 0)} widths a step, {each}"
    taught = (section.get("losses") or {}).get("distillation", 0) > 0
    teacher = ", with the base network as teacher" if taught else ""
    return f"{length}, {each}{teacher}."


def _coarse(train: Mapping[str, Any]) -> str:
    coarse = train.get("coarse") or {}
    if "share" not in coarse:
        return ""
    widths, grids = (
        f"{coarse[key]['start']} to {coarse[key]['stop']}" for key in ("widths", "grids")
    )
    share = percent(coarse["share"], 0)
    return (
        f" In {share} of the task steps a network of width {widths} is told of a grid of {grids}."
    )


def _length(recipe: Mapping[str, Any]) -> str:
    for unit in ("steps", "epochs"):
        if recipe.get(unit):
            return f"{whole(recipe[unit])} {unit} of batch {recipe.get('batch_size', '?')}"
    return ""
