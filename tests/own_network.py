"""A network that the project does not know, as users bring one."""

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """Convolution, BatchNorm, a depthwise convolution, and back to the stream."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = 2 * channels
        self.a = nn.Conv2d(channels, inner, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(inner)
        self.d = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.b = nn.Conv2d(inner, channels, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = torch.relu(self.norm(self.a(inputs)))
        result: Tensor = inputs + self.b(torch.relu(self.d(hidden)))
        return result


class OwnNetwork(nn.Module):
    """A stem, a BatchNorm that follows no layer, a block, and two linear layers."""

    def __init__(self, num_classes: int = 3, channels: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.block = Block(channels)
        self.hidden = nn.Linear(channels, 8)
        self.last = nn.Linear(8, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        maps = self.block(self.norm(torch.relu(self.stem(inputs))))
        result: Tensor = self.last(torch.relu(self.hidden(maps.mean((2, 3)))))
        return result


def own_network(num_classes: int = 3, channels: int = 4) -> nn.Module:
    """Build it; its BatchNorms have seen something."""
    network = OwnNetwork(num_classes, channels)
    with torch.no_grad():
        for norm in network.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.running_mean.uniform_(-1, 1)  # type: ignore[union-attr]
                norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
                norm.weight.uniform_(0.5, 2)
    return network.eval()


def own_in_colour() -> nn.Module:
    """The same for pictures in colour."""
    network = own_network()
    network.stem = nn.Conv2d(3, 4, 3, padding=1)
    return network


def learnt(network: nn.Module, inputs: Tensor, labels: Tensor, steps: int = 60) -> nn.Module:
    """Train it a little."""
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    network.train()
    for _ in range(steps):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(network(inputs), labels).backward()
        optimiser.step()
    return network.eval()
