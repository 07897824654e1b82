"""How long each method was trained, in words, from the parameters of the experiment."""

from collections.abc import Mapping
from typing import Any

from neumeta.report.wording import percent, whole


def inr_budget(train: Mapping[str, Any]) -> str:
    """Say how long an INR was trained, from its section `train`; empty where that is cut short."""
    warm, task = train.get("warm_start") or {}, train.get("task") or {}
    if "steps" not in task:
        return ""
    text = f"{whole(task['steps'])} task steps of batch {task.get('batch_size', '?')}"
    if (each := task.get("widths_per_step", 1)) != 1:
        text += f" at {each} widths each"
    return f"{whole(warm['steps'])} warm-start and {text}" if warm.get("steps") else text


def budget(method: str, params: Mapping[str, Any]) -> str:
    """Say how long one method was trained; empty where it is not or `params` do not tell."""
    if method in ("neumeta", "neumeta-noise-free"):
        train = params.get("train") or {}
        text = inr_budget(train)
        return f"{text}, for all widths together.{_coarse(train)}" if text else ""
    kind = {"individual-distilled": "distilled"}.get(method, method)
    if method.startswith("pruned-") and method.endswith("-finetuned"):
        kind = "pruned"
    section = (params.get("baselines") or {}).get(kind) or {}
    recipe = section.get("recipe") or {}
    unit = next((unit for unit in ("steps", "epochs") if recipe.get(unit)), None)
    if unit is None:
        return ""
    each = "for all widths together" if kind in ("slimmable", "integral") else "each network"
    if kind == "slimmable":
        each = f"{2 + section.get('random_widths', 0)} widths a step, {each}"
    if (section.get("losses") or {}).get("distillation", 0) > 0:
        each += ", with the base network as teacher"
    return f"{whole(recipe[unit])} {unit} of batch {recipe.get('batch_size', '?')}, {each}."


def _coarse(train: Mapping[str, Any]) -> str:
    coarse = train.get("coarse") or {}
    if "share" not in coarse:
        return ""
    widths, grids = (f"{coarse[k]['start']} to {coarse[k]['stop']}" for k in ("widths", "grids"))
    share = percent(coarse["share"], 0)
    return (
        f" In {share} of the task steps a network of width {widths} is told of a grid of {grids}."
    )
