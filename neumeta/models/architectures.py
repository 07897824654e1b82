"""Networks by name, with the sizes that a file of weights asks for."""

import difflib
import re
import warnings
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from neumeta.core.errors import UserError
from neumeta.data.torchvision_door import models
from neumeta.models.cifar_resnet import STAGE_WIDTHS, CifarResNet
from neumeta.models.fitting import put_weights
from neumeta.models.fold import fold_batch_norms
from neumeta.models.lenet import LeNet

Sizes = Callable[[str, int], int]
_CIFAR = re.compile(r"cifar_resnet(\d+)")
_CIFAR_DEPTHS = (20, 32, 44, 56, 110)
_BLOCK = re.compile(r"layer1\.(\d+)\.conv1\.weight$")
_PICTURE = 224  # pixels; of a network of a builder
_DIGITS = 28  # pixels; LeNet takes images of any size


def architectures() -> tuple[str, ...]:
    """Names that `build_for` knows.

    Returns:
        Ours, then the classifiers of torchvision.
    """
    ours = ("lenet", *(f"cifar_resnet{depth}" for depth in _CIFAR_DEPTHS))
    return (*ours, *models.list_models(module=models))


def build_for(
    name: str, weights: Mapping[str, Tensor], where: str, *, fold: bool = False
) -> tuple[nn.Module, Tensor]:
    """Build a network for weights and put them in.

    Args:
        name: One of `architectures`, or the text of a builder, such as `package.module:function`.
        weights: By name; widths and the number of classes are read off them.
        where: Their origin, for errors.
        fold: Whether to fold BatchNorms into the layers before them.

    Returns:
        The network in evaluation mode, and an example input: random images, batch of 2.

    Raises:
        UserError: If the name is unknown, the weights are none of such a network, or a BatchNorm
            cannot be folded.
    """
    if ":" in name:
        return _built(name, weights, where, fold)
    if name not in architectures():
        near = difflib.get_close_matches(name, architectures(), n=1)
        raise UserError(
            f"architecture {name!r} is unknown; allowed are lenet, cifar_resnet with a depth of "
            f"{', '.join(map(str, _CIFAR_DEPTHS))}, and the classifiers of torchvision, such as "
            "resnet50, or a builder as package.module:function"
            + (f"; did you mean {near[0]!r}?" if near else "")
        )

    def size(tensor: str, axis: int) -> int:
        if tensor not in weights or weights[tensor].ndim <= axis or not weights[tensor].numel():
            raise UserError(
                f"{where}: holds no {name}: tensor {tensor!r} is missing; {_found(weights)}"
            )
        return weights[tensor].shape[axis]

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if name == "lenet":
            network, shape = _lenet(size)
        elif found := _CIFAR.fullmatch(name):
            network, shape = _cifar_resnet(int(found[1]), size, "bn1.weight" in weights)
        else:
            network, shape = _torchvision(name, size)
        example = torch.randn(2, *shape)
    put_weights(network, weights, where)
    network.eval()
    return (fold_batch_norms(network) if fold else network), example


def _built(
    name: str, weights: Mapping[str, Tensor], where: str, fold: bool
) -> tuple[nn.Module, Tensor]:
    """A network of a builder, with an example of as many channels as its first weight takes."""
    from neumeta.models.traced.builder import builder

    network = builder(name)()
    put_weights(network, weights, where)
    first = next((m for m in network.modules() if isinstance(m, nn.Conv2d)), None)
    if first is None:
        raise UserError(f"{name}: takes no images: there is no convolution in it")
    noise = torch.Generator().manual_seed(0)
    example = torch.randn(2, first.in_channels, _PICTURE, _PICTURE, generator=noise)
    return (fold_batch_norms(network) if fold else network), example


def _lenet(size: Sizes) -> tuple[nn.Module, tuple[int, ...]]:
    width, channels = size("conv1.weight", 0), size("conv1.weight", 1)
    classes = size("linear.weight", 0)
    network = LeNet(width, in_channels=channels, classes=classes, head="pooled")
    return network, (channels, _DIGITS, _DIGITS)


def _cifar_resnet(depth: int, size: Sizes, norm: bool) -> tuple[nn.Module, tuple[int, ...]]:
    blocks = (depth - 2) // 6
    hidden = [
        size(f"layer{stage + 1}.{block}.conv1.weight", 0)
        for stage in range(len(STAGE_WIDTHS))
        for block in range(blocks)
    ]
    channels, classes = size("conv1.weight", 1), size("linear.weight", 0)
    return CifarResNet(hidden, in_channels=channels, classes=classes, norm=norm), (channels, 32, 32)


def _torchvision(name: str, size: Sizes) -> tuple[nn.Module, tuple[int, ...]]:
    side = 299 if name == "inception_v3" else 224
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about initial weights, which are replaced
        last = [key for key, value in _default(name).named_parameters() if value.ndim >= 2][-1]
        return models.get_model(name, weights=None, num_classes=size(last, 0)), (3, side, side)


def _default(name: str) -> nn.Module:
    """A network of torchvision by default, for its names; without numbers where it allows that."""
    try:
        with torch.device("meta"):
            return models.get_model(name, weights=None)
    except NotImplementedError:  # such as RegNet, which computes its widths by tensors
        with torch.random.fork_rng(devices=[]):
            return models.get_model(name, weights=None)


def _found(weights: Mapping[str, Tensor]) -> str:
    """Say what a file holds instead, and which of our networks it may be."""
    names = list(weights)
    shown = dict.fromkeys((names[0], names[-1]))
    shapes = [f"{key!r} of {tuple(weights[key].shape)}" for key in shown]
    blocks = {match[1] for key in weights if (match := _BLOCK.match(key))}
    depth = 6 * len(blocks) + 2
    fits = f"; they fit cifar_resnet{depth}" if depth in _CIFAR_DEPTHS else ""
    return f"found {len(weights)} tensors, {' to '.join(shapes)}{fits}"
