"""Networks that cannot be traced, each told in one line what it is and what to give instead."""

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.nn.parameter import is_lazy

from neumeta.core.errors import UserError


def check_traceable(network: object) -> None:
    """Refuse networks whose weights or code cannot be reached.

    Args:
        network: Any.

    Raises:
        UserError: If it is no module, a wrapper, scripted, exported, quantised, lazy, on the meta
            device, or in training mode.
    """
    if reason := _refusal(network):
        raise UserError(reason)


def _refusal(network: object) -> str | None:
    if not isinstance(network, nn.Module):
        return f"a network must be a torch.nn.Module; this is a {type(network).__name__}"
    for inner in ("_orig_mod", "module"):
        if type(network).__module__.startswith("torch.") and inner in network._modules:
            return (
                f"the network is wrapped in {type(network).__name__}; give the one inside, "
                f"network.{inner}"
            )
    for name, module in network.named_modules():
        what = f"module {name!r}" if name else "the network"
        if isinstance(module, torch.jit.ScriptModule):
            return f"{what} is scripted; give the module that it was made from"
        if isinstance(module, GraphModule) and not _has_modes(module):
            return f"{what} is exported; give the module that it was made from"
        if ".quantized" in type(module).__module__:
            return (
                f"{what} is quantised ({type(module).__name__}); permute it before, then quantise"
            )
    for name, value in (*network.named_parameters(), *network.named_buffers()):
        if is_lazy(value):
            return f"{name!r} has no size yet, as its layer is lazy; run the network once before"
        if reason := _unreadable(value):
            return f"{name!r} {reason}"
    if network.training:
        return "clique groups are those of a network in evaluation mode; call eval() first"
    return None


def _unreadable(value: Tensor) -> str | None:
    if value.is_meta:
        return "is on the meta device, which holds no numbers; load weights first"
    if value.is_quantized:
        return "is quantised; permute the network before, then quantise"
    if value.layout != torch.strided:
        return f"has the layout {value.layout}; only dense tensors can be permuted"
    if value.is_inference():
        return "was made in inference mode, so no weights can be loaded into it; build it outside"
    return None


def _has_modes(module: GraphModule) -> bool:
    """Whether it can be put into evaluation mode; what torch.export makes cannot."""
    return "eval" not in vars(module) and "train" not in vars(module)
