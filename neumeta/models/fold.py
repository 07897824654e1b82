"""Fold BatchNorm into the layer before it, so that only weights and biases are left."""

from torch import nn
from torch.fx.experimental.optimization import fuse

from neumeta.errors import UserError

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """Fold all BatchNorms of a network in evaluation mode.

    Args:
        network: With trained running statistics; not changed. Names of the layers stay.

    Returns:
        A network of the same function without BatchNorm; the network itself if it has none.

    Raises:
        UserError: If a BatchNorm follows no convolution or linear layer, so cannot be folded.
    """
    if not _norms_of(network):
        return network
    folded = fuse(network.eval())
    if left := _norms_of(folded):
        raise UserError(f"BatchNorm {left[0]!r} follows no convolution, so it cannot be folded")
    return folded


def _norms_of(network: nn.Module) -> list[str]:
    return [name for name, layer in network.named_modules() if isinstance(layer, _NORMS)]
