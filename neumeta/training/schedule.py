"""The learning rate as a function of the step alone."""

import math

from neumeta.training.params import ScheduleParams


def rate_at(step: int, steps: int, peak: float, schedule: ScheduleParams) -> float:
    """Learning rate of one step.

    `one_cycle` rises as a cosine from peak / start_divisor to the peak, then falls as a cosine
    towards 0; `cosine` only falls; `constant` stays at the peak.

    Args:
        step: Current step, 0 to steps - 1.
        steps: Length of the phase.
        peak: Highest rate.
        schedule: Shape, and for one_cycle the start and the share of the steps of the rise.

    Returns:
        The learning rate.
    """
    if schedule.shape == "constant":
        return peak
    top = schedule.rise * steps if schedule.shape == "one_cycle" else 0.0
    if step < top:
        low, share = peak / schedule.start_divisor, step / top
        return low + (peak - low) * (1 - math.cos(math.pi * share)) / 2
    return peak * (1 + math.cos(math.pi * (step - top) / (steps - top))) / 2
