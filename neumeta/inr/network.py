"""The INR: a residual MLP from coordinate features to a kernel, many of them side by side."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


def taken_alone(device: torch.device) -> bool:
    """Ask whether tensors are best evaluated one by one, each without padding.

    Args:
        device: Where they lie.

    Returns:
        True on a CPU that oneDNN knows, where no gradients are asked for.
    """
    return (
        device.type == "cpu"
        and torch.backends.mkldnn.is_available()
        and not torch.is_grad_enabled()
    )


class CoordinateNetwork(nn.Module):
    """Several MLPs of one shape, stored stacked and evaluated by batched products.

    Linear + ReLU, then (layers - 1) times x <- x + s_k ReLU(W_k x + b_k), then Linear. Without
    `residual` the step is x <- ReLU(W_k x + b_k). Block-based INRs have one MLP per generated
    tensor; a single INR has one for all. Source: supplement, figure 3.

    One MLP that is asked for no gradients takes the linear layers of oneDNN, which compute the
    same sums; on CPUs other than Intel's they are twice as fast as those of MKL.
    """

    def __init__(
        self,
        *,
        networks: int,
        features: int,
        hidden: int,
        layers: int,
        outputs: int,
        residual: bool,
        residual_scale: float,
        generator: torch.Generator,
    ) -> None:
        """Draw fresh weights, uniform in +-1/sqrt(fan_in) as torch's linear layers.

        Args:
            networks: Number of MLPs.
            features: Length of the encoded coordinate.
            hidden: Units per hidden layer.
            layers: Hidden layers, the first one included.
            outputs: Length of the output, kernel positions.
            residual: Whether hidden layers add to their input.
            residual_scale: Initial value of every s_k.
            generator: Source of randomness.
        """
        super().__init__()
        sizes = [(features, hidden), *[(hidden, hidden)] * (layers - 1), (hidden, outputs)]
        self.residual = residual
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for fan_in, fan_out in sizes:
            bound = 1 / math.sqrt(fan_in)
            for store, shape in (
                (self.weights, (networks, fan_in, fan_out)),
                (self.biases, (networks, 1, fan_out)),
            ):
                store.append(torch.empty(shape).uniform_(-bound, bound, generator=generator))
        self.scales = nn.Parameter(torch.full((layers - 1, networks, 1, 1), residual_scale))

    def forward(
        self,
        features: Float[Tensor, "tensors rows features"],
        owners: Int[Tensor, " tensors"],
    ) -> Float[Tensor, "tensors rows outputs"]:
        """Evaluate one MLP per tensor.

        Args:
            features: Encoded coordinates, shape (tensors, rows, features).
            owners: Which MLP serves each tensor, shape (tensors,).

        Returns:
            Raw outputs, shape (tensors, rows, outputs).
        """
        alone = len(owners) == 1 and taken_alone(features.device)
        chosen = slice(int(owners), int(owners) + 1) if alone else owners  # views, or copies
        last = len(self.weights) - 1
        hidden = features
        for layer, (weights, biases) in enumerate(zip(self.weights, self.biases, strict=True)):
            weight, bias = weights[chosen], biases[chosen]
            if layer == last:
                return torch.baddbmm(bias, hidden, weight)
            if alone:
                step = _rectified(hidden[0], weight[0], bias[0, 0])[None]
            else:
                step = F.relu(torch.baddbmm(bias, hidden, weight))
            if layer > 0 and self.residual:
                scale = self.scales[layer - 1, chosen].to(step.dtype)
                step = step.mul_(scale).add_(hidden) if alone else hidden + scale * step
            hidden = step
        raise AssertionError("a coordinate network has at least two layers")


def _rectified(
    hidden: Float[Tensor, "rows inputs"],
    weight: Float[Tensor, "inputs outputs"],
    bias: Float[Tensor, " outputs"],
) -> Float[Tensor, "rows outputs"]:
    """ReLU(x W + b) in one pass, by the operator that `torch.compile` fuses such layers to."""
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else hidden.dtype
    x, w, b = hidden.to(dtype), weight.t().to(dtype), bias.to(dtype)
    return torch.ops.mkldnn._linear_pointwise(x, w, b, "relu", [], "")
