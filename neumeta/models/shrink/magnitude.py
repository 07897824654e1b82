"""The usual choice of channels, by the magnitude of their filters."""

import torch
from torch import Tensor, nn

from neumeta.tracing.groups import Group


def smallest_first(network: nn.Module, group: Group) -> list[int]:
    """Order the units of a group by the sum of the magnitudes of the weights that make them.

    Source: Li et al. 2017, Pruning filters for efficient convnets. Filters of depthwise
    convolutions, which make no channel of their own, count only where there are no others.

    Args:
        network: Whose group it is.
        group: The group.

    Returns:
        Units, those of the smallest sum first.
    """
    tensors = {
        **dict(network.named_parameters(remove_duplicate=False)),
        **dict(network.named_buffers(remove_duplicate=False)),
    }
    found: list[tuple[bool, Tensor]] = []
    for member in group.members:
        value = tensors[member.tensor]
        if value.ndim < 2 or member.axis != _written(network, member.tensor):
            continue
        sums = value.detach().abs().float().movedim(member.axis, 0).flatten(1).sum(1).cpu()
        found.append((value.shape[1 - member.axis] > 1, sums[torch.tensor(member.places)].sum(1)))
    if not found:
        return list(range(len(group)))[::-1]
    mixing = [sums for mixes, sums in found if mixes] or [sums for _, sums in found]
    return torch.stack(mixing).sum(0).argsort(stable=True).tolist()


def _written(network: nn.Module, tensor: str) -> int:
    """Which axis of a weight stands for what its layer gives."""
    owner = network.get_submodule(tensor.rpartition(".")[0])
    return 1 if getattr(owner, "transposed", False) else 0
