"""BatchNorm statistics of a changed network, measured relative to those of the one it was.

Statistics measured anew on few images differ from those of the training also where nothing changed.
So both networks are measured on the same images, and the difference is what counts:
mean = base mean + measured - measured of the base; variance = base variance x their quotient.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from neumeta.models.shrink.calls import Call

Measured = dict[str, tuple[Tensor, Tensor]]


@torch.no_grad()
def renew_statistics(
    network: nn.Module,
    base: nn.Module,
    kept: Mapping[str, Tensor],
    batches: Sequence[Any],
    call: Call,
    *,
    leave: frozenset[str] = frozenset(),
) -> None:
    """Measure the statistics of all BatchNorms relative to the base.

    Args:
        network: Changed in place: the running statistics alone.
        base: The network that it was made of; not changed.
        kept: By name of a BatchNorm, which channels of the base it has; all where none are named.
        batches: What both are called with.
        call: How.
        leave: Names of BatchNorms that stay.
    """
    norms = {name for name, module in base.named_modules() if isinstance(module, _BatchNorm)}
    if norms <= leave:
        return
    before, after = measured(base, batches, call), measured(network, batches, call)
    for name, (mean, variance) in after.items():
        if name in leave:
            continue
        norm, old = network.get_submodule(name), base.get_submodule(name)
        assert isinstance(norm, _BatchNorm) and isinstance(old, _BatchNorm)
        if norm.running_mean is None or norm.running_var is None:
            continue
        assert old.running_mean is not None and old.running_var is not None
        index = kept.get(name, torch.arange(len(old.running_mean))).to(mean.device)
        base_mean, base_variance = (value[index] for value in before[name])
        norm.running_mean.copy_(old.running_mean[index] + mean - base_mean)
        quotient = variance / base_variance.clamp(min=1e-12)
        usual = torch.where(base_variance > 1e-12, quotient, torch.ones_like(quotient))
        norm.running_var.copy_(old.running_var[index] * usual)


def measured(network: nn.Module, batches: Sequence[Any], call: Call) -> Measured:
    """Measure what the BatchNorms of a network see.

    Args:
        network: Not changed.
        batches: What it is called with.
        call: How.

    Returns:
        Mean and variance of every channel by name of the BatchNorm, each normalised by what its
        batch has, as in training; averages over the batches.
    """
    copied = copy.deepcopy(network).eval()
    norms = {n: m for n, m in copied.named_modules() if isinstance(m, _BatchNorm)}
    for norm in norms.values():
        norm.reset_running_stats()
        norm.momentum = None  # plain averages
        norm.train()
    if norms:
        for batch in batches:
            call(copied, batch)
    return {
        name: (norm.running_mean, norm.running_var)
        for name, norm in norms.items()
        if norm.running_mean is not None
        and norm.running_var is not None
        and int(norm.num_batches_tracked or 0)
    }
