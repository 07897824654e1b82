"""A recipe for networks of one's own: the section `train`, by their size and the steps alone."""

import math

from neumeta.methods.metamorphosis.params.train import TrainParams

WARM_STEPS = 300
BATCH = 128
_SCHEDULE = {"shape": "one_cycle", "start_divisor": 25.0, "rise": 0.1}


def default_recipe(
    *, low: int, high: int, units: int, steps: int, seed: int, images: int
) -> TrainParams:
    """Choose how an INR is trained.

    Whole channels are drawn in the centres of their cells, and their features are means over two
    cells: this held in every experiment of the project with residual networks.

    Args:
        low: Smallest width that is trained.
        high: Largest width that is trained.
        units: Places of the longest axis that changes.
        steps: Of the task phase.
        seed: Of the training.
        images: Training images that there are.

    Returns:
        The section.
    """
    middle = (low + high) // 2
    every = max(1, steps // 4)
    return TrainParams.model_validate(
        {
            "threads": 1,
            "widths": {"start": low, "stop": high, "step": 1},
            "draw": "cell",
            "seeds": [seed],
            "precision": "float32",
            "augmentation": None,
            "coordinates": {"jitter": "channel", "origin": "centre", "size": "none"},
            "noise": 0.0,
            "sample_noise": 0.1,
            "encoding": {
                "identity_octaves": 0,
                "index_octaves": min(10, max(4, math.ceil(math.log2(units)) + 1)),
                "size_octaves": 0,
                "blur": 2.0,
            },
            "network": {
                "layers": 5,
                "hidden": 128,
                "residual": True,
                "residual_scale": 0.1,
                "arrangement": "block",
            },
            "coarse": None,
            "warm_start": {"steps": WARM_STEPS, "noise": 0.0, "lr": 0.01, "schedule": _SCHEDULE},
            "task": {
                "steps": steps,
                "lr": 4e-4,
                "schedule": _SCHEDULE,
                "batch_size": min(BATCH, images),
                "widths_per_step": 1,
            },
            "losses": {
                "task": 1.0,
                "distillation": 1.0,
                "temperature": 2.0,
                "reconstruction": 10.0,
                "fade": 0.25,
                "regularisation": 0.0,
            },
            "optimiser": {
                "name": "adamw",
                "beta1": 0.9,
                "beta2": 0.999,
                "weight_decay": 0.0,
                "muon_momentum": 0.95,
            },
            "clip_norm": 1.0,
            "ema": 0.995,
            "probe_widths": sorted({low, middle, high}),
            "validate_every": every,
            "log_every": max(1, steps // 50),
            "save_every": max(1, steps // 10),
        }
    )
