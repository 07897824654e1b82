"""Which networks of a family a training visits; the params name them by their width."""

from dataclasses import dataclass

import torch

from neumeta.core.fields import WidthRange
from neumeta.methods.metamorphosis.params.train import TrainParams
from neumeta.models.axes import Point
from neumeta.models.family import Family


def at_width(family: Family, width: int | float) -> Point:
    """Where a width of the params lies; all else is as in the base network.

    Args:
        family: Any with an axis `width`.
        width: Base width h, channels; or, as a float, its share of that of the base network.

    Returns:
        The point.

    Raises:
        UserError: If the width is outside the family.
    """
    return family.at_share(width) if isinstance(width, float) else family.at(width=width)


@dataclass(frozen=True)
class Configuration:
    """What one step generates.

    Attributes:
        at: Which network.
        noise: Half range a of the coordinate noise, channels.
        coarseness: Size of the cells that the INR is told, in cells of that network.
    """

    at: Point
    noise: float
    coarseness: float = 1.0


def draw_warm(family: Family, params: TrainParams, generator: torch.Generator) -> Configuration:
    """Choose what a step of the warm start generates.

    Args:
        family: The family that morphs.
        params: The section `train`.
        generator: Source of randomness.

    Returns:
        A network among those of training, with the noise of the warm start.
    """
    width = _draw_width(params, params.widths, generator)
    return Configuration(at_width(family, width), params.warm_start.noise)


def draw_task(family: Family, params: TrainParams, generator: torch.Generator) -> Configuration:
    """Choose what a step of the task phase generates, and how coarse a grid it is told of.

    Args:
        family: The family that morphs.
        params: The section `train`.
        generator: Source of randomness.

    Returns:
        A network among those of training; in a share of the steps, one that is told of the cells
        of a smaller one.
    """
    coarse = params.coarse
    if coarse is None or float(torch.rand((), generator=generator)) >= coarse.share:
        width = _draw_width(params, params.widths, generator)
        return Configuration(at_width(family, width), params.noise)
    width = _draw_width(params, coarse.widths, generator)
    told = _draw_width(params, coarse.grids, generator)
    coarseness = width / told
    return Configuration(at_width(family, width), coarse.noise * coarseness, coarseness)


def _draw_width(params: TrainParams, widths: WidthRange, generator: torch.Generator) -> int:
    values = widths.values()
    if params.draw == "width":
        return values[int(torch.randint(len(values), (), generator=generator))]
    density = torch.tensor(values, dtype=torch.float64) ** -2  # of h, for uniform 1/h
    return values[int(torch.multinomial(density, 1, generator=generator))]
