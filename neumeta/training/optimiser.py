"""The optimiser that the parameters ask for."""

from collections.abc import Iterable

import torch
from torch import nn

from neumeta.training.params import OptimiserParams


def make_optimiser(
    parameters: Iterable[nn.Parameter], params: OptimiserParams
) -> torch.optim.Optimizer:
    """Make an optimiser without memory of earlier steps; its rate is set at every step.

    Args:
        parameters: What to train.
        params: Name, momenta and decay.

    Returns:
        AdamW, or SGD with beta1 as momentum.
    """
    if params.name == "sgd":
        return torch.optim.SGD(parameters, momentum=params.beta1, weight_decay=params.weight_decay)
    return torch.optim.AdamW(
        parameters,
        betas=(params.beta1, params.beta2),
        weight_decay=params.weight_decay,
        fused=True,
    )
