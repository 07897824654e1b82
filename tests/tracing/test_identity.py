"""A tensor is its storage: what lies in memory twice moves together, or stays with the reason."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from neumeta.tracing.cliques import Cliques
from neumeta.tracing.identity import Tensors
from neumeta.tracing.trace import trace_cliques
from tests.small_networks import Wrapped, linear, noise, sizes, turned_and_loaded, two_layers


class Twin(nn.Module):
    """Two layers in two places, whose weights are made one by `tie`."""

    def __init__(self, tie: Callable[[nn.Linear, nn.Linear], None]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(linear((3, 8), (8, 8), (8, 8), (8, 2)))
        first, second = self.layers[1], self.layers[2]
        assert isinstance(first, nn.Linear) and isinstance(second, nn.Linear)
        tie(first, second)

    def forward(self, inputs: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            inputs = torch.tanh(layer(inputs))
        result: Tensor = self.layers[-1](inputs)
        return result


def by_object(first: nn.Linear, second: nn.Linear) -> None:
    second.weight = first.weight


def by_data(first: nn.Linear, second: nn.Linear) -> None:
    second.weight.data = first.weight.data


def by_view(first: nn.Linear, second: nn.Linear) -> None:
    second.weight = nn.Parameter(first.weight.data.view(8, 8))


def transposed(first: nn.Linear, second: nn.Linear) -> None:
    second.weight = nn.Parameter(first.weight.data.T)


def as_buffer(first: nn.Linear, second: nn.Linear) -> None:
    del second.weight
    second.register_buffer("weight", first.weight.data)


def as_buffer_of_no_file(first: nn.Linear, second: nn.Linear) -> None:
    del second.weight
    second.register_buffer("weight", first.weight.data, persistent=False)


def loosely(first: nn.Linear, second: nn.Linear) -> None:
    del second.weight
    second.weight = first.weight.data.T


def by_part(first: nn.Linear, second: nn.Linear) -> None:
    memory = torch.randn(12, 8, generator=torch.Generator().manual_seed(1))
    first.weight, second.weight = nn.Parameter(memory[:8]), nn.Parameter(memory[4:])


def side_by_side(first: nn.Linear, second: nn.Linear) -> None:
    memory = torch.randn(16, 8, generator=torch.Generator().manual_seed(1))
    first.weight.data, second.weight.data = memory[:8], memory[8:]


@pytest.mark.parametrize(
    ("tie", "wanted"),
    [
        (by_object, [8]),
        (by_data, [8]),
        (by_view, [8]),
        (as_buffer, [8]),
        (as_buffer_of_no_file, [8]),
        (transposed, [8, 8]),
        (side_by_side, [8, 8, 8]),
        (by_part, []),
        (loosely, []),
    ],
)
def test_tensors_of_one_storage(
    tie: Callable[[nn.Linear, nn.Linear], None], wanted: list[int]
) -> None:
    network = Twin(tie)
    cliques, change = turned_and_loaded(network, noise(4, 3))
    assert change < 1e-5
    assert sizes(cliques) == wanted


def reasons(cliques: Cliques, tensor: str) -> set[str]:
    return {pinned.reason for pinned in cliques.pinned if pinned.tensor == tensor}


def test_what_shares_memory_in_another_form_stays_with_the_reason() -> None:
    cliques, _ = turned_and_loaded(Twin(by_part), noise(4, 3))
    assert reasons(cliques, "layers.1.weight") == {
        "shares its memory with 'layers.2.weight' in another form"
    }
    cliques, _ = turned_and_loaded(Twin(loosely), noise(4, 3))
    assert reasons(cliques, "layers.1.weight") == {"is also read as a tensor that no file holds"}


def test_a_weight_in_a_plain_list_stays() -> None:
    def run(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
        hidden = torch.relu(layers[0](inputs)) @ kept[0]
        result: Tensor = layers[2](hidden + layers[1](torch.relu(layers[0](inputs))))
        return result

    network = Wrapped(run, *linear((3, 8), (8, 8), (8, 2)))
    kept = [next(network.layers[1].parameters())]
    cliques, change = turned_and_loaded(network, noise(4, 3))
    assert change < 1e-5 and sizes(cliques) in ([], [8])


def test_places_that_share_memory_stay() -> None:
    network = Wrapped(two_layers, *linear((3, 8), (8, 2)))
    network.layers[0].bias = nn.Parameter(torch.ones(1).expand(8))
    assert "layers.0.bias" in Tensors.of(network).fixed


def test_unused_weights_stay() -> None:
    network = Wrapped(two_layers, *linear((3, 8), (8, 2), (5, 7)))
    cliques, _ = turned_and_loaded(network, noise(4, 3))
    assert sizes(cliques) == [8]
    assert reasons(cliques, "layers.2.weight") == {"no output depends on it"}


def test_places_that_overlap_by_steps_hold_still() -> None:
    network = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)).eval()
    network[0].weight.data = torch.randn(23).unfold(0, 8, 1)
    found = trace_cliques(network, torch.randn(2, 8))
    assert found.groups == ()
    assert any("share their memory" in pinned.reason for pinned in found.pinned)
