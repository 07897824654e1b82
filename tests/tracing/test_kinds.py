"""Rules for kinds of layers: what is free is found, and turned round it keeps the function."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize
from torch.utils.checkpoint import checkpoint

from tests.small_networks import Wrapped, linear, noise, sizes, turned_and_loaded


def chain(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    for layer in layers:
        inputs = layer(inputs)
    return inputs


def pooled(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    return chain(layers, inputs).flatten(2).mean(dim=-1)


def last_step(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    result: Tensor = layers[1](layers[0](inputs)[0][:, -1])
    return result


def cells(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    state = layers[0](inputs[:, 0])
    result: Tensor = layers[1](layers[0](inputs[:, 1], state)[0])
    return result


def packed(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    lengths = torch.tensor([len(inputs[0]), 2])
    sequence = nn.utils.rnn.pack_padded_sequence(inputs, lengths, batch_first=True)
    padded, _ = nn.utils.rnn.pad_packed_sequence(layers[0](sequence)[0], batch_first=True)
    result: Tensor = layers[1](padded[:, 0])
    return result


def unpooled(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    values, places = F.max_pool2d(layers[0](inputs), 2, return_indices=True)
    result: Tensor = layers[1](F.max_unpool2d(values, places, (2, 2))).mean(dim=(2, 3))
    return result


def sampled(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    turn = torch.tensor([[0.8, 0.6, 0.0], [-0.6, 0.8, 0.0]], dtype=inputs.dtype)
    grid = F.affine_grid(turn.expand(len(inputs), 2, 3), list(inputs.shape), align_corners=False)
    image = F.grid_sample(layers[0](inputs), grid, align_corners=False)
    result: Tensor = layers[1](image).mean(dim=(2, 3))
    return result


def looked_up(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    hidden = torch.relu(layers[0](inputs))
    places = torch.tensor([[0], [1]])[:, :, None].expand(2, 1, 8)
    result: Tensor = layers[1](hidden.gather(1, places)[:, 0])
    return result


def added_at(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    hidden = torch.relu(layers[0](inputs))
    table = torch.zeros(3, 8, dtype=inputs.dtype)
    result: Tensor = layers[1](table.index_add(0, torch.tensor([0, 2]), hidden))
    return result


def scattered(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    hidden = torch.relu(layers[0](inputs))
    places = torch.tensor([0, 2])[:, None].expand(2, 8)
    table = torch.zeros(3, 8, dtype=inputs.dtype).scatter_add(0, places, hidden)
    result: Tensor = layers[1](table)
    return result


def written(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    hidden = torch.relu(layers[0](inputs))
    both = torch.empty(len(inputs), 8, dtype=inputs.dtype)
    both[:, :4] = hidden
    both[:, 4:] = hidden * 2
    result: Tensor = layers[1](both)
    return result


def centred(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    hidden = torch.relu(layers[0](inputs))
    result: Tensor = layers[1](hidden - hidden.mean(dim=1, keepdim=True).expand_as(hidden))
    return result


def best_of_time(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    result: Tensor = layers[1](layers[0](inputs).topk(2, dim=1)[0].mean(dim=1))
    return result


def shared_heads(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    query, key, value = (
        layers[place](inputs).unflatten(2, (heads, 3)).transpose(1, 2)
        for place, heads in enumerate((4, 2, 2))
    )
    mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    result: Tensor = layers[3](mixed.transpose(1, 2).flatten(2)).mean(dim=1)
    return result


def spectral(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    frequencies = torch.fft.rfft(layers[0](inputs))[..., :3]
    mixed = torch.einsum("bci,co->boi", frequencies, layers[2].weight)
    result: Tensor = layers[1](torch.fft.irfft(mixed, n=inputs.shape[-1])).mean(dim=-1)
    return result


class Squared(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight.square()


class ComplexWeight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.complex(noise(4, 5), noise(4, 5) / 2))


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor) -> Tensor:
        return inputs * torch.sigmoid(inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad


def parametrised() -> list[nn.Module]:
    layers = linear((3, 8), (8, 2))
    parametrize.register_parametrization(layers[0], "weight", Squared())
    return layers


def conv(inputs: int, outputs: int) -> nn.Module:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def conv3(inputs: int, outputs: int) -> nn.Module:
    return nn.Conv3d(inputs, outputs, 3, padding=1)


def between(layer: nn.Module, after: int = 8) -> tuple[Any, list[nn.Module], tuple[int, ...]]:
    return pooled, [conv(3, 8), layer, conv(after, 2)], (3, 6, 6)


def in_volume(layer: nn.Module) -> tuple[Any, list[nn.Module], tuple[int, ...]]:
    return pooled, [conv3(2, 6), layer, conv3(6, 2)], (2, 4, 4, 4)


def steps(layer: nn.Module, size: int = 5) -> tuple[Any, list[nn.Module], tuple[int, ...]]:
    return last_step, [layer, nn.Linear(size, 2)], (4, 6)


def activated(layer: nn.Module) -> tuple[Any, list[nn.Module], tuple[int, ...]]:
    return chain, [nn.Linear(3, 8), layer, nn.Linear(8, 2)], (3,)


KINDS: dict[str, tuple[tuple[Any, list[nn.Module], tuple[int, ...]], list[int]]] = {
    "max pooling of volumes": (in_volume(nn.MaxPool3d(2)), [6]),
    "mean pooling of volumes": (in_volume(nn.AvgPool3d(2)), [6]),
    "adaptive pooling of volumes": (in_volume(nn.AdaptiveAvgPool3d(2)), [6]),
    "padding of volumes": (in_volume(nn.ReflectionPad3d(1)), [6]),
    "scaling of volumes": (in_volume(nn.Upsample(scale_factor=2, mode="trilinear")), [6]),
    "adaptive max pooling": (between(nn.AdaptiveMaxPool2d(2)), [8]),
    "pooling by a norm": (between(nn.LPPool2d(2, 2)), [8]),
    "circular padding": (between(nn.CircularPad2d(2)), [8]),
    "circular convolution": (
        (pooled, [conv(3, 8), nn.Conv2d(8, 2, 3, padding=1, padding_mode="circular")], (3, 6, 6)),
        [8],
    ),
    "exact scaling": (between(nn.Upsample(scale_factor=2, mode="nearest-exact")), [8]),
    "scaling of signals": (
        (
            pooled,
            [
                nn.Conv1d(3, 8, 3),
                nn.Upsample(scale_factor=2, mode="linear"),
                nn.Conv1d(8, 2, 3),
            ],
            (3, 7),
        ),
        [8],
    ),
    "patches": (between(nn.Sequential(nn.Unfold(2, stride=2), nn.Fold(6, 2, stride=2))), [8]),
    "shuffled pixels": (between(nn.PixelShuffle(2), after=2), [2]),
    "unshuffled pixels": (between(nn.PixelUnshuffle(2), after=32), [8]),
    "unpooled": ((unpooled, [conv(3, 8), conv(8, 2)], (3, 6, 6)), [8]),
    "sampled by a grid": ((sampled, [conv(3, 8), conv(8, 2)], (3, 6, 6)), [8]),
    "batch norm without statistics": (between(nn.BatchNorm2d(8, track_running_stats=False)), [8]),
    "weight norm": (
        (chain, [parametrizations.weight_norm(nn.Linear(3, 8)), nn.ReLU(), nn.Linear(8, 2)], (3,)),
        [8],
    ),
    "weight norm over outputs": (
        (
            pooled,
            [parametrizations.weight_norm(nn.ConvTranspose2d(3, 8, 2), dim=1), conv(8, 2)],
            (3, 6, 6),
        ),
        [8],
    ),
    "spectral norm": (
        (pooled, [parametrizations.spectral_norm(conv(3, 8)), nn.ReLU(), conv(8, 2)], (3, 6, 6)),
        [8],
    ),
    "a parametrization": ((chain, parametrised(), (3,)), [8]),
    "two layers of LSTM": (steps(nn.LSTM(6, 5, 2, batch_first=True)), [5, 5]),
    "LSTM both ways": (steps(nn.LSTM(6, 5, batch_first=True, bidirectional=True), 10), [5, 5]),
    "LSTM projected": (steps(nn.LSTM(6, 5, batch_first=True, proj_size=3), 3), [3, 5]),
    "two layers of GRU": (steps(nn.GRU(6, 5, 2, batch_first=True)), [5, 5]),
    "three layers of RNN": (steps(nn.RNN(6, 5, 3, batch_first=True)), [5, 5, 5]),
    "LSTM cells": ((cells, [nn.LSTMCell(6, 5), nn.Linear(5, 2)], (2, 6)), [5]),
    "bilinear": (
        (
            lambda layers, x: layers[1](torch.relu(layers[0](x, x))),
            [nn.Bilinear(3, 3, 8), nn.Linear(8, 2)],
            (3,),
        ),
        [8],
    ),
    "bags of words": (
        (
            lambda layers, x: layers[1](torch.relu(layers[0]((10 * x).long().abs() % 9))),
            [nn.EmbeddingBag(9, 8), nn.Linear(8, 2)],
            (4,),
        ),
        [8],
    ),
    "looked up along time": ((looked_up, linear((6, 8), (8, 2)), (3, 6)), [8]),
    "added at places": ((added_at, linear((3, 8), (8, 2)), (3,)), [8]),
    "scattered": ((scattered, linear((3, 8), (8, 2)), (3,)), [8]),
    "written into a tensor": ((written, linear((3, 4), (8, 2)), (3,)), [4]),
    "expanded": ((centred, linear((3, 8), (8, 2)), (3,)), [8]),
    "the best of time": ((best_of_time, linear((6, 8), (8, 2)), (3, 6)), [8]),
    "heads for several queries": (
        (shared_heads, linear((6, 12), (6, 6), (6, 6), (12, 2)), (5, 6)),
        [2, 3, 3, 3, 3],
    ),
    "Fourier layer": (
        (spectral, [nn.Conv1d(3, 4, 3, padding=1), nn.Conv1d(5, 2, 3), ComplexWeight()], (3, 12)),
        [4, 5],
    ),
    "checkpointed": (
        (
            lambda layers, x: layers[1](
                checkpoint(lambda y: torch.relu(layers[0](y)), x, use_reentrant=False)
            ),
            linear((3, 8), (8, 2)),
            (3,),
        ),
        [8],
    ),
    "a function with a gradient of its own": (
        (
            lambda layers, x: layers[1](Swish.apply(layers[0](x))),
            linear((3, 8), (8, 2)),
            (3,),
        ),
        [8],
    ),
    **{
        type(layer).__name__: (activated(layer), [8])
        for layer in (
            *(nn.CELU(), nn.SELU(), nn.LogSigmoid(), nn.Hardshrink(), nn.Softshrink()),
            *(nn.Threshold(0.1, 0), nn.RReLU(), nn.Softsign(), nn.Tanhshrink(), nn.Softmin(-1)),
        )
    },
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.filterwarnings("ignore:max_unpooling2d_forward_out does not have a deterministic")
def test_kinds_of_layers(name: str) -> None:
    (run, layers, shape), wanted = KINDS[name]
    cliques, change = turned_and_loaded(Wrapped(run, *layers), noise(2, *shape))
    assert change < 1e-4
    assert sizes(cliques) == wanted


@pytest.mark.filterwarnings("ignore:the network asks for a number")
def test_packed_sequences() -> None:
    layers = [nn.LSTM(6, 5, batch_first=True), nn.Linear(5, 2)]
    cliques, change = turned_and_loaded(Wrapped(packed, *layers), noise(2, 4, 6))
    assert change < 1e-4 and sizes(cliques) == [5]
