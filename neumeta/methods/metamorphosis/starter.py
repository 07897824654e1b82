"""The section of a first experiment on images of one's own: a LeNet, and budgets that fit them."""

import json
from dataclasses import dataclass

EPOCH_BATCH = 64
_STEPS = 600  # of the base network, about
_EPOCHS = (5, 200)


@dataclass(frozen=True)
class Found:
    """What a set of images is.

    Attributes:
        name: Of the experiment and its data set.
        classes: Number of classes.
        train: Number of training images.
        shape: Channels, height, width.
    """

    name: str
    classes: int
    train: int
    shape: tuple[int, int, int]


def starter_section(found: Found) -> str:
    """Write the section; every number in it may be changed.

    Args:
        found: The images.

    Returns:
        YAML, one top-level key.
    """
    per_epoch = -(-found.train // EPOCH_BATCH)
    epochs = min(max(-(-_STEPS // per_epoch), _EPOCHS[0]), _EPOCHS[1])
    channels, height, width = found.shape
    kind = "gray" if channels == 1 else "colour"
    return _TEMPLATE.format(
        name=found.name,
        epochs=epochs,
        batch=EPOCH_BATCH,
        title=json.dumps(f"LeNet on {found.name}"),
        summary=json.dumps(
            f"A LeNet with channels h, 2h, 4h on {found.classes} classes of {width} x {height} "
            f"pixels in {kind}, morphing over h = 8 to 24; 4 to 7 are never trained."
        ),
    )


_TEMPLATE = """\
{name}:
  dataset: {name}
  family: {{name: lenet, head: pooled, base_width: 24, min_width: 2, max_width: 32}}
  fetch:
    source: train           # the base network
    seed: 0
    recipe: &{name}-recipe
      epochs: {epochs}
      batch_size: {batch}
      lr: 3.0e-3
      optimiser: {{name: adamw, beta1: 0.9, beta2: 0.999, weight_decay: 0.01}}
      schedule: &{name}-schedule {{shape: one_cycle, start_divisor: 25.0, rise: 0.15}}
  permute: {{seed: 0, perturbations: 200, tolerance: 1.0e-4}}
  train:                    # the INR
    widths: {{start: 8, stop: 24, step: 1}}
    draw: width
    seeds: [0]
    precision: float32
    augmentation: null
    coordinates: {{jitter: weight, origin: edge, size: raw}}
    noise: 0.5
    sample_noise: 0.5
    encoding: {{identity_octaves: 0, index_octaves: 6, size_octaves: 1, blur: 0.0}}
    network: {{layers: 5, hidden: 128, residual: true, residual_scale: 0.1, arrangement: block}}
    coarse: null
    warm_start: {{steps: 400, noise: 0.5, lr: 2.0e-3, schedule: *{name}-schedule}}
    task:
      steps: 1000
      lr: 2.0e-3
      schedule: *{name}-schedule
      batch_size: 64
      widths_per_step: 1
    losses:
      task: 1.0
      distillation: 1.0
      temperature: 2.0
      reconstruction: 10.0
      fade: 0.25
      regularisation: 0.0
    optimiser: {{name: adamw, beta1: 0.9, beta2: 0.999, weight_decay: 0.0, muon_momentum: null}}
    clip_norm: 1.0
    ema: 0.995
    probe_widths: [8, 16, 24]
    validate_every: 200
    log_every: 20
    save_every: 100
  sweep: {{widths: {{start: 4, stop: 24, step: 2}}, precision: float32, draws: 16, seed: 0}}
  merge: {{widths: {{start: 4, stop: 24, step: 2}}, images: 2000, seed: 0}}
  baselines:
    widths: {{start: 4, stop: 24, step: 2}}
    origin: edge
    individual: {{widths: [8, 16, 24], seeds: [0], trains: generated, recipe: *{name}-recipe}}
    distilled: null
    slimmable: null
    integral: null
    pruned:
      criteria: [l1]
      widths: [8, 16]
      seeds: [0]
      trains: generated
      recipe: *{name}-recipe
  ablate: {{split: val, widths: [8, 16, 24], seeds: [0], tables: []}}
  report:
    title: {title}
    summary: {summary}
"""
