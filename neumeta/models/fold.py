"""Fold BatchNorm into the layer before it, so that only weights and biases are left."""

import copy
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jaxtyping import config
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from neumeta.core.errors import UserError, first_line

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """Fold all BatchNorms of a network, using their running statistics.

    Args:
        network: Any traceable module; not changed. Names of the layers stay.

    Returns:
        A network of the same function in evaluation mode, in which every BatchNorm is an
        identity; the network itself if it has none.

    Raises:
        UserError: If a BatchNorm does not directly follow a convolution or linear layer of its
            own, so cannot be folded.
    """
    if not any(isinstance(layer, _NORMS) for layer in network.modules()):
        return network
    folded = copy.deepcopy(network).eval()
    layers = dict(folded.named_modules())
    for name, layer in layers.items():
        if isinstance(layer, _NORMS) and type(layer).forward is not _BatchNorm.forward:
            raise UserError(f"{name!r} does more than a BatchNorm; it cannot be folded")
    try:
        with _unchecked_shapes():
            graph = fx.symbolic_trace(folded, _defaults(folded)).graph
    except Exception as error:  # whatever its code does with what is no tensor
        raise UserError(f"BatchNorms cannot be folded: {first_line(error)}") from error
    for node in graph.nodes:
        if node.op != "call_module" or not isinstance(norm := layers[node.target], _NORMS):
            continue
        before = node.args[0]
        layer = layers.get(before.target) if before.op == "call_module" else None
        alone = len(before.users) == 1
        if isinstance(layer, (*_CONVS, *_TRANSPOSED)) and alone:
            fused: nn.Module = fuse_conv_bn_eval(layer, norm, isinstance(layer, _TRANSPOSED))
        elif isinstance(layer, nn.Linear) and alone:
            fused = fuse_linear_bn_eval(layer, norm)
        else:
            raise UserError(
                f"BatchNorm {node.target!r} follows no layer of its own; it cannot be folded"
            )
        folded.set_submodule(before.target, fused)
        folded.set_submodule(node.target, nn.Identity())
    return folded


@contextmanager
def _unchecked_shapes() -> Iterator[None]:
    """Tracing passes stand-ins for tensors, which have no shape to check."""
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        config.update("jaxtyping_disable", before)


def _defaults(network: nn.Module) -> dict[str, Any]:
    """Optional arguments of `forward`, which stay at their defaults while tracing."""
    found = inspect.signature(network.forward).parameters.values()
    return {p.name: p.default for p in found if p.default is not inspect.Parameter.empty}
