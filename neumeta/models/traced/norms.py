"""A network whose BatchNorms keep nothing but parameters: folded away, or made neutral."""

import copy

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from neumeta.core.errors import UserError
from neumeta.models.fold import fold_batch_norms


def without_statistics(network: nn.Module) -> nn.Module:
    """Put the running statistics of all BatchNorms into parameters; the function stays.

    Args:
        network: Any; not changed.

    Returns:
        The network in evaluation mode, with BatchNorms folded into the layers before them; where
        that cannot be, they stay, with a mean of zero and a deviation of one.
    """
    try:
        return fold_batch_norms(network)
    except UserError:
        return neutral_norms(network)


def neutral_norms(network: nn.Module) -> nn.Module:
    """Put the running statistics of BatchNorms into their weights and biases.

    Args:
        network: Any; not changed.

    Returns:
        A copy of the same function in evaluation mode.
    """
    made = copy.deepcopy(network).eval()
    for norm in made.modules():
        if isinstance(norm, _BatchNorm) and norm.running_mean is not None:
            _neutral(norm)
    return made


def _neutral(norm: _BatchNorm) -> None:
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    with torch.no_grad():
        scale = (variance.double() + norm.eps).rsqrt()
        if norm.affine:
            scale = scale * norm.weight.double()
        shift = -mean.double() * scale
        if norm.affine and norm.bias is not None:
            shift = shift + norm.bias.double()
        norm.weight = nn.Parameter(scale.to(variance.dtype))
        norm.bias = nn.Parameter(shift.to(variance.dtype))
        norm.affine = True
        mean.zero_()
        variance.fill_(1 - norm.eps)
