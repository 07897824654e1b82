"""Algorithms 2 and 3 of Neural Metamorphosis, loop for loop, in single precision.

The slow, plain reference that the fast code is compared with, for its results and its speed.
Nothing is batched or kept: every coordinate is built by a Python loop, the MLPs run one after
another, the whole network runs on images, and every draw makes a whole network of its own.
Source: paper, section 3 and algorithms 2 and 3. Where the published code differs, it does as
`neumeta` does: noise moves only what follows the width, divisors are exact, a tensor keeps its own
MLP whatever the noise and has a fixed output scale, small kernels are cut from the centre of large
ones, the reconstruction is relative and asked for at every width, gradients are clipped by norm.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from neumeta.methods.metamorphosis.generator import WeightGenerator
from tests.toy import at


@dataclass(frozen=True)
class Noise:
    """The random numbers of one tensor in one draw, each in [-1, 1].

    Attributes:
        channels: For (o, c) of every row, shape (rows, 2).
        sizes: For (Cout, Cin), shape (2,).
    """

    channels: Tensor
    sizes: Tensor


Draw = Mapping[str, Noise]
EXACT: Draw = {}  # a draw without noise


class LiteralMlp(nn.Module):
    """The MLP of one tensor (supplement, figure 3), with a copy of the weights of an INR."""

    def __init__(self, inr: WeightGenerator, index: int) -> None:
        super().__init__()
        network = inr.network
        last = len(network.weights) - 1
        self.residual = network.residual
        self.weights = nn.ParameterList(
            weight[index].detach().t().contiguous() for weight in network.weights
        )
        self.biases = nn.ParameterList(bias[index, 0].detach().clone() for bias in network.biases)
        self.scales = nn.ParameterList(
            network.scales[layer, index, 0, 0].detach().clone() for layer in range(last - 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features of shape (rows, features) to kernels of shape (rows, outputs)."""
        x = F.relu(F.linear(features, self.weights[0], self.biases[0]))
        for k, scale in enumerate(self.scales, start=1):
            step = F.relu(F.linear(x, self.weights[k], self.biases[k]))
            x = x + scale * step if self.residual else step
        return F.linear(x, self.weights[-1], self.biases[-1])


class LiteralInr(nn.Module):
    """One MLP per generated tensor (or one for all), and what leads in and out of them."""

    def __init__(self, inr: WeightGenerator) -> None:
        super().__init__()
        self.family = inr.family
        self.scale = inr.scale.clone()
        self.side = inr.kernel
        variant = inr.settings["coordinates"]
        self.offset = 0.5 if variant["origin"] == "centre" else 0.0
        self.sized = variant["size"] == "raw"
        octaves = inr.encoding
        self.octaves = (
            octaves.identity_octaves,
            octaves.index_octaves,
            octaves.index_octaves,
            octaves.identity_octaves,
            octaves.size_octaves,
            octaves.size_octaves,
        )
        self.blur = octaves.blur
        count = 1 if inr.single else len(self.family.generated)
        self.mlps = nn.ModuleList(LiteralMlp(inr, index) for index in range(count))
        self._networks: dict[int, nn.Module] = {}

    def network(self, width: int) -> nn.Module:
        """A network of a width; its weights mean nothing."""
        if width not in self._networks:
            self._networks[width] = self.family.build(at(width))
        return self._networks[width]

    def shape(self, width: int, name: str) -> tuple[int, ...]:
        """Shape of a parameter at a width."""
        return tuple(self.network(width).get_parameter(name).shape)

    def fresh_draw(self, width: int, generator: torch.Generator) -> Draw:
        """Draw the noise of all generated tensors, one after another."""
        draw = {}
        for name in self.family.generated:
            shape = self.shape(width, name)
            rows = shape[0] * (shape[1] if len(shape) > 1 else 1)
            channels = 2 * torch.rand((rows, 2), generator=generator) - 1
            draw[name] = Noise(channels, 2 * torch.rand(2, generator=generator) - 1)
        return draw

    def generate(self, width: int, reach: float, draw: Draw) -> dict[str, Tensor]:
        """All generated tensors of one width in one draw.

        Args:
            width: Base width h, channels.
            reach: Half range a of the noise, channels.
            draw: The noise by tensor name; `EXACT` for none.
        """
        weights = {}
        for index, name in enumerate(self.family.generated):
            coordinates = self.coordinates(width, index, reach, draw.get(name))
            mlp = self.mlps[index if len(self.mlps) > 1 else 0]
            features = self.encode(coordinates, self.cells(width, index))
            weights[name] = self.assemble(mlp(features), width, index)
        return weights

    def rows(self, width: int, index: int) -> Tensor:
        """(i, o, c, L, Cout, Cin) of every row of one tensor, shape (rows, 6)."""
        name = self.family.generated[index]
        shape = self.shape(width, name)
        out_size, in_size = shape[0], shape[1] if len(shape) > 1 else 1
        out_places, in_places = self.places(name, 0, out_size), self.places(name, 1, in_size)
        rows = []
        for o in range(out_size):
            for c in range(in_size):
                place = [index, out_places[o], in_places[c]]
                rows.append([*place, len(self.family.generated), out_size, in_size])
        return torch.tensor(rows, dtype=torch.float32)

    def places(self, name: str, axis: int, size: int) -> list[int]:
        """Where the channels of an axis lie: at their index, or in the order of their stream."""
        places = list(range(size))
        for stream in self.family.streams:
            order = self.family.settings.get("stream_orders", {}).get(stream.name)
            if order and (name, axis) in stream.axes:
                for place, channel in enumerate(order):
                    places[channel] = place
        return places

    def coordinates(self, width: int, index: int, reach: float, noise: Noise | None) -> Tensor:
        """(i/L, o/Cout, c/Cin, L/N, Cout/N, Cin/N) of every row of one tensor, shape (rows, 6)."""
        v = self.rows(width, index)
        count, out_size, in_size = v[0, 3:].tolist()
        for axis in self.family.morphing_axes[self.family.generated[index]]:
            if noise is not None:
                v[:, 1 + axis] += reach * noise.channels[:, axis]
                v[:, 4 + axis] += reach * noise.sizes[axis]
            v[:, 1 + axis] += self.offset
        if not self.sized:
            v[:, 4:] = 0
        norm = float(self.family.base["width"])
        return v / torch.tensor([count, out_size, in_size, norm, norm, norm])

    def cells(self, width: int, index: int) -> list[float]:
        """Width of a channel's cell along each of the six coordinates; 0 where nothing morphs."""
        name = self.family.generated[index]
        shape = self.shape(width, name)
        cells = [0.0] * 6
        for axis in self.family.morphing_axes[name]:
            cells[1 + axis] = 1 / (shape[axis] if len(shape) > axis else 1)
        return cells

    def encode(self, v: Tensor, cells: Sequence[float]) -> Tensor:
        """concat(v, sin(2^f pi v_j), cos(2^f pi v_j)), each the mean over blurred v_j.

        The mean of a wave over a Gaussian of standard deviation s is the wave at its centre,
        times exp(-(frequency s)^2 / 2). Shape (rows, features).
        """
        sines, cosines = [], []
        for j, octaves in enumerate(self.octaves):
            deviation = self.blur * cells[j] / math.sqrt(12)
            for f in range(octaves):
                frequency = 2**f * math.pi
                kept = math.exp(-((frequency * deviation) ** 2) / 2)
                sines.append(kept * torch.sin(frequency * v[:, j]))
                cosines.append(kept * torch.cos(frequency * v[:, j]))
        return torch.stack([*v.unbind(1), *sines, *cosines], dim=1)

    def assemble(self, kernels: Tensor, width: int, index: int) -> Tensor:
        """Shape the tensor from its kernels, (rows, side x side), and divide by the fan-in."""
        shape = self.shape(width, self.family.generated[index])
        in_size = shape[1] if len(shape) > 1 else 1
        kernel = shape[2] if len(shape) > 2 else 1
        first = (self.side - kernel) // 2
        squares = kernels.view(-1, self.side, self.side)
        centre = squares[:, first : first + kernel, first : first + kernel]
        return centre.reshape(shape) * self.scale[index] / in_size


def sample(
    inr: LiteralInr, frozen: Mapping[str, Tensor], width: int, reach: float, draws: Sequence[Draw]
) -> nn.Module:
    """Algorithm 3: K networks, one after another, and the mean of their weights.

    Args:
        inr: The INR.
        frozen: Parameters that are not generated; further ones are ignored.
        width: Base width h, channels.
        reach: Half range a of the noise, channels.
        draws: The noise of each of the K draws.
    """
    networks = []
    with torch.no_grad():
        for draw in draws:
            weights = {**frozen, **inr.generate(width, reach, draw)}
            network = copy.deepcopy(inr.network(width))
            for name, parameter in network.named_parameters():
                parameter.copy_(weights[name])
            networks.append(network)
        mean = copy.deepcopy(inr.network(width))
        for name, parameter in mean.named_parameters():
            parameter.zero_()
            for network in networks:
                parameter.add_(network.get_parameter(name))
            parameter.div_(len(networks))
    return mean


@dataclass(frozen=True)
class Batch:
    """What one step of Algorithm 2 draws.

    Attributes:
        width: Base width h, channels.
        draw: The noise by tensor name.
        images: Shape (n, channels, height, width).
        labels: Class indices, shape (n,).
    """

    width: int
    draw: Draw
    images: Tensor
    labels: Tensor


def loss_terms(
    inr: LiteralInr,
    base: Mapping[str, Tensor],
    batch: Batch,
    targets: Mapping[str, Tensor],
    *,
    reach: float,
    temperature: float | None = None,
) -> dict[str, Tensor]:
    """The terms of one step of Algorithm 2: generate, run the whole network, compare.

    Args:
        inr: The INR.
        base: All parameters of the base network, which also teaches.
        batch: What the step draws.
        targets: Weights to reconstruct, by name.
        reach: Half range a of the noise, channels.
        temperature: Of the distillation; None leaves the term out, as the paper does.
    """
    weights = inr.generate(batch.width, reach, batch.draw)
    frozen = {n: w for n, w in base.items() if n not in weights}
    student = inr.network(batch.width)
    logits = functional_call(student, {**frozen, **weights}, (batch.images,))
    log_p = logits - logits.logsumexp(dim=1, keepdim=True)
    terms = {"task": -log_p[torch.arange(len(log_p)), batch.labels].mean()}
    if temperature is not None:
        with torch.no_grad():
            teacher = functional_call(
                inr.network(inr.family.base["width"]), dict(base), (batch.images,)
            )
        log_q = torch.log_softmax(teacher / temperature, dim=1)
        log_p = torch.log_softmax(logits / temperature, dim=1)
        divergence = (log_q.exp() * (log_q - log_p)).sum(dim=1).mean()
        terms["distillation"] = divergence * temperature**2
    ratios = []
    for name, target in targets.items():
        ratios.append(((weights[name] - target) ** 2).sum() / (target**2).sum())
    terms["reconstruction"] = sum(ratios, torch.zeros(())) / len(ratios)
    norms = [(weight**2).sum().sqrt() for weight in weights.values()]
    terms["regularisation"] = sum(norms, torch.zeros(()))
    return terms


def descend(
    inr: LiteralInr,
    average: LiteralInr,
    optimiser: torch.optim.Optimizer,
    loss: Tensor,
    *,
    clip_norm: float,
    decay: float,
) -> None:
    """The rest of the step: gradients, clipping, optimiser, moving average of the weights."""
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(inr.parameters(), clip_norm)
    optimiser.step()
    with torch.no_grad():
        for mean, value in zip(average.parameters(), inr.parameters(), strict=True):
            mean.mul_(decay).add_((1 - decay) * value)
