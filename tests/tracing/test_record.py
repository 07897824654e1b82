"""Networks that ask for numbers on their way, and networks that cannot be traced."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from neumeta.core.errors import UserError
from neumeta.permute.smooth import smooth
from neumeta.tracing.refusals import check_traceable
from neumeta.tracing.trace import trace_cliques
from tests.small_networks import Wrapped, linear, noise, sizes, turned_and_loaded, two_layers


def branching(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    result = two_layers(layers, inputs)
    if result.sum() > 0:
        return result
    return -result


def listing(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    places = (inputs[:, 0] > 0).long().tolist()
    return two_layers(layers, inputs)[places]


def masked(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    return two_layers(layers, inputs[inputs[:, 0] > -9])


def by_units(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    """What a single hidden unit is decides."""
    hidden = torch.relu(layers[0](inputs))
    result: Tensor = layers[1](hidden)
    return result if bool(hidden[0, 2] >= 0) else -result


@pytest.mark.parametrize(
    ("run", "asks", "wanted"),
    [(branching, True, [8]), (listing, True, [8]), (masked, False, [8]), (by_units, True, [7])],
)
def test_a_branch_on_values_is_named(
    run: Callable[..., Any], asks: bool, wanted: list[int]
) -> None:
    network = Wrapped(run, *linear((3, 8), (8, 2))).eval()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cliques, change = turned_and_loaded(network, noise(4, 3))
        found = smooth(network, noise(4, 3))
    assert sizes(cliques) == wanted and change < 1e-5
    assert found.branches == cliques.branches
    if not asks:
        assert not cliques.branches and not caught
        return
    (place,) = cliques.branches
    file, line = place.rsplit(":", 1)
    start = run.__code__.co_firstlineno
    assert file == "tracing/test_record.py" and start < int(line) < start + 7
    assert place in str(caught[0].message)


def test_numbers_of_constants_are_no_branch() -> None:
    def run(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
        return two_layers(layers, inputs) * torch.tensor(3.0).item()

    cliques = trace_cliques(Wrapped(run, *linear((3, 8), (8, 2))).eval(), noise(4, 3))
    assert sizes(cliques) == [8] and not cliques.branches


class Once(nn.Module):
    """Runs once, whatever is copied of it."""

    runs = 0

    def forward(self, inputs: Tensor) -> Tensor:
        Once.runs += 1
        if Once.runs > 1:
            raise RuntimeError("only once")
        return inputs


def test_what_cannot_be_recorded_names_its_place() -> None:
    told = r"recorded on this example, at tracing/test_record.py:\d+: only once"
    with pytest.raises(UserError, match=told):
        trace_cliques(Once().eval(), noise(4, 3))


@pytest.mark.filterwarnings("ignore:the network asks for a number")
def test_a_result_that_leaves_torch_tells_nothing() -> None:
    def run(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
        return torch.from_numpy(2 * two_layers(layers, inputs).numpy())

    assert not trace_cliques(Wrapped(run, *linear((3, 8), (8, 2))).eval(), noise(4, 3)).groups


def plain() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2)).eval()


def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyLinear(8), nn.Linear(8, 2)).eval()


def meta() -> nn.Module:
    with torch.device("meta"):
        return plain()


def exported() -> nn.Module:
    return torch.export.export(plain(), (torch.randn(2, 3),)).module()


def in_inference() -> nn.Module:
    with torch.inference_mode():
        return plain()


def sparse() -> nn.Module:
    network = plain()
    network.register_buffer("table", torch.eye(3).to_sparse())
    return network


def quantised() -> nn.Module:
    return torch.ao.quantization.quantize_dynamic(plain(), {nn.Linear})


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lazy, r"'0.weight' has no size yet, as its layer is lazy"),
        (meta, r"'0.weight' is on the meta device"),
        (exported, r"the network is exported; give the module that it was made from"),
        (in_inference, r"'0.weight' was made in inference mode"),
        (sparse, r"'table' has the layout torch.sparse_coo"),
        (quantised, r"module '0' is quantised \(Linear\)"),
        (lambda: torch.jit.script(plain()), r"the network is scripted"),
        (lambda: nn.Sequential(torch.jit.script(plain())).eval(), r"module '0' is scripted"),
        (lambda: nn.DataParallel(plain()).eval(), r"wrapped in DataParallel; .* network.module"),
        (lambda: torch.compile(plain(), backend="eager"), r"OptimizedModule; .*network._orig_mod"),
        (lambda: plain().train(), r"call eval\(\) first"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_networks_of_another_form_are_one_line(make: Callable[[], Any], told: str) -> None:
    with pytest.raises(UserError, match=told) as caught:
        trace_cliques(make(), torch.randn(2, 3))
    assert "\n" not in str(caught.value)


def test_a_function_is_no_network() -> None:
    with pytest.raises(UserError, match=r"must be a torch.nn.Module; this is a function"):
        check_traceable(lambda inputs: inputs)
