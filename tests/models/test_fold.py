import pytest
import torch
from torch import nn

from neumeta.core.errors import UserError
from neumeta.models.fold import fold_batch_norms


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.up = nn.ConvTranspose2d(4, 5, 2)
        self.up_norm = nn.BatchNorm2d(5)
        self.linear = nn.Linear(5, 6)
        self.last = nn.BatchNorm1d(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.conv(x)))
        x = torch.relu(self.up_norm(self.up(x))).mean((2, 3))
        return self.last(self.linear(x))


def randomised(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            for value in (layer.running_mean, layer.running_var, layer.weight, layer.bias):
                assert value is not None
                with torch.no_grad():
                    value.uniform_(0.5, 2, generator=generator)
    return network.eval()


def test_folding_keeps_the_function_and_the_names() -> None:
    network = randomised(Block())
    inputs = torch.randn(7, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    folded = fold_batch_norms(network)
    torch.testing.assert_close(folded(inputs), network(inputs), rtol=1e-5, atol=1e-5)
    names = {name for name, _ in folded.named_parameters()}
    layers = ("conv", "up", "linear")
    assert names == {f"{layer}.{part}" for layer in layers for part in ("weight", "bias")}
    assert not list(folded.buffers())


def test_a_network_without_norms_is_returned_as_it_is() -> None:
    network = nn.Sequential(nn.Linear(2, 3))
    assert fold_batch_norms(network) is network


def test_a_norm_without_a_layer_of_its_own_is_refused() -> None:
    with pytest.raises(UserError, match="cannot be folded"):
        fold_batch_norms(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3)))
