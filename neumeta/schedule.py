"""The learning rate as a function of the step alone."""

import math


def one_cycle(step: int, steps: int, peak: float, rise: float) -> float:
    """Cosine rise from peak/25 to peak, then cosine fall towards 0.

    Args:
        step: Current step, 0 to steps - 1.
        steps: Length of the phase.
        peak: Highest rate.
        rise: Share of the steps before the peak.

    Returns:
        The learning rate of this step.
    """
    top = rise * steps
    if step < top:
        low, share = peak / 25, step / top
        return low + (peak - low) * (1 - math.cos(math.pi * share)) / 2
    return peak * (1 + math.cos(math.pi * (step - top) / (steps - top))) / 2
