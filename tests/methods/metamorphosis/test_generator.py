import pytest
import torch
from torch import nn

from neumeta.inr.coordinates import Bucket, normalised
from neumeta.inr.network import CoordinateNetwork
from neumeta.methods.metamorphosis.generator import WeightGenerator
from neumeta.models.family import Family
from neumeta.models.parameters import parameters_of
from neumeta.models.registry import make_family
from tests.toy import at, toy_dataset, toy_family

ENCODING = {"identity_octaves": 2, "index_octaves": 3, "size_octaves": 1}
COORDINATES = {"jitter": "weight", "origin": "edge", "size": "raw"}
NETWORK = {"layers": 3, "hidden": 16, "residual": True, "residual_scale": 0.1}


def make(arrangement: str, **changes: object) -> WeightGenerator:
    settings = {
        "coordinates": COORDINATES,
        "encoding": ENCODING,
        "network": {**NETWORK, **changes, "arrangement": arrangement},
    }
    family = toy_family()
    inr = WeightGenerator(family, settings, torch.Generator().manual_seed(0))
    inr.calibrate(parameters_of(family.initialised(at(4), seed=0)))
    return inr


def reference_kernel(inr: WeightGenerator, coordinate: list[float], network: int) -> torch.Tensor:
    """One row through one MLP, written out with plain vectors."""
    x = inr.encoding(torch.tensor([coordinate]))[0]
    weights, biases = inr.network.weights, inr.network.biases
    x = nn.functional.relu(x @ weights[0][network] + biases[0][network, 0])
    for layer in range(1, len(weights) - 1):
        step = nn.functional.relu(x @ weights[layer][network] + biases[layer][network, 0])
        x = (
            x + inr.network.scales[layer - 1, network, 0, 0] * step
            if inr.network.residual
            else step
        )
    return x @ weights[-1][network] + biases[-1][network, 0]


@pytest.mark.parametrize("arrangement", ["block", "single"])
@pytest.mark.parametrize("residual", [True, False])
def test_weights_equal_the_loop_over_coordinates(arrangement: str, residual: bool) -> None:
    """Algorithm 3 literally, one weight at a time, for all tensors of one width."""
    inr, family, width = make(arrangement, residual=residual), toy_family(), 3
    made = inr.weights(at(width))
    shapes, count, norm = family.shapes(at(width)), len(family.generated), 4.0
    for index, name in enumerate(family.generated):
        shape = shapes[name]
        out_size, in_size = shape[0], shape[1] if len(shape) > 1 else 1
        side = shape[2] if len(shape) > 2 else 1
        start = (5 - side) // 2
        for o in range(out_size):
            for c in range(in_size):
                coordinate = [index / count, o / out_size, c / in_size]
                coordinate += [count / norm, out_size / norm, in_size / norm]
                kernel = reference_kernel(inr, coordinate, index if arrangement == "block" else 0)
                kernel = kernel.view(5, 5)[start : start + side, start : start + side]
                kernel = kernel * inr.scale[index] / in_size
                have = made[name][o, c] if len(shape) > 1 else made[name][o]
                torch.testing.assert_close(have.flatten(), kernel.flatten(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("arrangement", ["block", "single"])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("rows", [7, 1 << 11])
def test_without_gradients_tensors_are_made_alone_and_are_the_same(
    arrangement: str, residual: bool, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The products are other ones, of another library, and blocks end within a draw."""
    monkeypatch.setattr("neumeta.methods.metamorphosis.generator.ROWS_PER_BLOCK", rows)
    inr, alone = make(arrangement, residual=residual), 0
    with torch.no_grad():
        inr.network.scales.copy_(torch.rand(inr.network.scales.shape))
    network = inr.network

    def forward(features: torch.Tensor, owners: torch.Tensor) -> torch.Tensor:
        nonlocal alone
        alone += len(owners) == 1
        return CoordinateNetwork.forward(network, features, owners)

    monkeypatch.setattr(network, "forward", forward)
    for width, draws in ((2, 16), (6, 1), (6, 5)):
        how = {"noise": 0.5, "draws": draws}
        together = inr.weights(at(width), **how, generator=torch.Generator().manual_seed(3))  # type: ignore[arg-type]
        alone = 0
        with torch.no_grad():
            made = inr.weights(at(width), **how, generator=torch.Generator().manual_seed(3))  # type: ignore[arg-type]
        assert alone >= (1 if draws == 1 else len(made))  # few rows of one draw: together
        for name, value in together.items():
            assert not made[name].requires_grad
            torch.testing.assert_close(made[name], value.detach(), rtol=1e-5, atol=1e-7)


def test_sampling_in_another_precision_is_of_that_precision() -> None:
    inr = make("block")
    with torch.no_grad():
        exact = inr.weights(at(6), draws=1)
        with torch.autocast("cpu", torch.bfloat16):
            rough = inr.weights(at(6), draws=1)
    difference = (rough["conv3.weight"] - exact["conv3.weight"]).abs().max()
    assert 1e-4 < difference / exact["conv3.weight"].abs().max() < 0.1


def test_shapes_fit_every_width() -> None:
    inr, family = make("block"), toy_family()
    for width in range(2, 7):
        made = inr.weights(at(width))
        assert {name: tuple(w.shape) for name, w in made.items()} == family.shapes(at(width))


def test_k_draws_are_the_mean_of_single_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    inr = make("block")
    draws = 5
    whole = inr.weights(at(3), noise=0.5, draws=draws, generator=torch.Generator().manual_seed(4))
    exact = inr.weights(at(3))
    for name in exact:
        if toy_family().morphing_axes[name]:
            assert not torch.allclose(whole[name], exact[name])
    # One draw at a time: the first exact, the others noisy, and the result their mean.
    seen: list[tuple[Bucket, torch.Tensor]] = []
    kernels_of = inr._kernels

    def spy(coordinates: torch.Tensor, bucket: Bucket, *coarseness: float) -> torch.Tensor:
        seen.append((bucket, coordinates))
        return kernels_of(coordinates, bucket, *coarseness)

    with monkeypatch.context() as patch:
        patch.setattr("neumeta.methods.metamorphosis.generator.ROWS_PER_CHUNK", 1)
        patch.setattr(inr, "_kernels", spy)
        same = torch.Generator().manual_seed(4)
        chunked = inr.weights(at(3), noise=0.5, draws=draws, generator=same)
    for name, value in whole.items():  # the size of a chunk changes no draw
        torch.testing.assert_close(chunked[name], value, rtol=1e-4, atol=1e-6)
    for bucket in inr.grid(at(3))[0]:
        parts = [values for owner, values in seen if owner is bucket]
        assert [part.shape[1] for part in parts] == [1] * draws
        plain = normalised(bucket, 4.0, noise=0.0, draws=1, generator=None, first_exact=True)
        assert [torch.equal(part, plain) for part in parts] == [True] + [False] * (draws - 1)
        kernels = inr._kernels(torch.cat(parts, dim=1), bucket).mean(dim=1)
        for slot, spec in enumerate(bucket.specs):
            mean = inr._assemble(kernels[slot, : spec.rows], spec)
            torch.testing.assert_close(chunked[spec.name], mean, rtol=1e-4, atol=1e-6)
    many = inr.weights(at(3), noise=0.5, draws=600, generator=torch.Generator().manual_seed(1))
    other = inr.weights(at(3), noise=0.5, draws=600, generator=torch.Generator().manual_seed(2))
    single = inr.weights(
        at(3), noise=0.5, draws=1, generator=torch.Generator().manual_seed(2), first_exact=False
    )
    name = "conv3.weight"
    spread = (single[name] - many[name]).norm()
    assert (other[name] - many[name]).norm() < 0.2 * spread


def test_noise_leaves_the_divisor_and_the_class_axis_alone() -> None:
    """With constant outputs, noisy weights must equal exact ones: the divisor is never noisy."""
    inr = make("block")
    with torch.no_grad():
        inr.network.weights[-1].zero_()
        inr.network.biases[-1].fill_(1.0)
    noisy = inr.weights(at(3), noise=0.5, generator=torch.Generator(), first_exact=False)
    exact = inr.weights(at(3))
    assert all(torch.equal(noisy[name], exact[name]) for name in exact)


def test_gradients_reach_every_parameter() -> None:
    inr = make("block")
    sum(weight.square().sum() for weight in inr.weights(at(3)).values()).backward()  # type: ignore[union-attr]
    assert all(value.grad is not None and value.grad.any() for value in inr.parameters())


def small_resnet() -> Family:
    spec = {**toy_dataset().input_spec(), "image_shape": [3, 32, 32], "classes": list("abc")}
    settings = {"name": "cifar_resnet", "depth": 20, "scope": "last_block"}
    settings |= {"base_width": 64, "min_width": 1, "max_width": 64}
    return make_family(settings, spec)


def channelwise(family: Family, blur: float = 0.0) -> WeightGenerator:
    coordinates = {"jitter": "channel", "origin": "centre", "size": "none"}
    network = {**NETWORK, "arrangement": "block"}
    settings = {"coordinates": coordinates, "encoding": ENCODING | {"blur": blur}}
    settings["network"] = network
    inr = WeightGenerator(family, settings, torch.Generator().manual_seed(0))
    inr.calibrate(parameters_of(family.build(family.base)))
    return inr


def test_without_sizes_a_wider_network_holds_the_narrow_one() -> None:
    """Centres of 3 cells are every third centre of 9 cells, so the weights there must agree."""
    inr = channelwise(small_resnet())
    narrow, wide = inr.weights(at(3)), inr.weights(at(9))
    for name, axis in (("layer3.2.conv1.weight", 0), ("layer3.2.conv1.bias", 0)):
        torch.testing.assert_close(
            wide[name].index_select(axis, torch.tensor([1, 4, 7])), narrow[name]
        )
    columns = wide["layer3.2.conv2.weight"][:, [1, 4, 7]]
    torch.testing.assert_close(columns * 3, narrow["layer3.2.conv2.weight"], rtol=1e-3, atol=1e-5)


def test_a_blurred_encoding_reads_the_cells_it_is_told_of() -> None:
    """Every third of 9 channels stands where one of 3 does; told of its cells, it is that one."""
    inr = channelwise(small_resnet(), blur=1.0)
    narrow, told, own = inr.weights(at(3)), inr.weights(at(9), coarseness=3.0), inr.weights(at(9))
    name, third = "layer3.2.conv1.weight", torch.tensor([1, 4, 7])
    torch.testing.assert_close(told[name][third], narrow[name])
    assert not torch.allclose(own[name][third], narrow[name], rtol=0.1)


def test_channel_jitter_makes_other_channels_and_not_blurred_ones() -> None:
    """A channel drawn at a place equals the exact channel of a network that has one there."""
    inr = channelwise(toy_family())
    jitter = inr.grid(at(2))[1]

    moved = torch.zeros(1, jitter.total + 1)
    moved[0, :2] = torch.tensor([-0.25, 0.25])  # conv1: centres 1/4 and 3/4 move to 1/8 and 7/8
    jitter.draw = lambda *_: moved  # type: ignore[method-assign]
    noisy = inr.weights(at(2), noise=0.5, generator=torch.Generator(), first_exact=False)[
        "conv1.weight"
    ]
    exact = inr.weights(at(4))["conv1.weight"]  # centres 1/8, 3/8, 5/8, 7/8
    torch.testing.assert_close(noisy, exact[[0, 3]])
