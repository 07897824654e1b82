import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neumeta.core.errors import UserError
from neumeta.inr.coordinates import make_buckets, normalised
from neumeta.inr.jitter import ChannelJitter
from neumeta.models.registry import family_from_header, make_family
from neumeta.models.tensor_specs import TensorSpec
from tests.toy import at, toy_dataset, toy_family


def specs_of(width: int) -> tuple[TensorSpec, ...]:
    return toy_family().specs(at(width))


def test_rows_are_the_coordinates_of_the_definition() -> None:
    """The loop of the definition, entry by entry: [i/L, o/Cout, c/Cin, L/N, Cout/N, Cin/N]."""
    count, norm = 8, 4.0
    for bucket in make_buckets(specs_of(3), norm):
        values = normalised(bucket, norm, noise=0.0, draws=1, generator=None, first_exact=True)
        for slot, spec in enumerate(bucket.specs):
            rows = [
                [
                    spec.index / count,
                    o / spec.out_size,
                    c / spec.in_size,
                    count / norm,
                    spec.out_size / norm,
                    spec.in_size / norm,
                ]
                for o in range(spec.out_size)
                for c in range(spec.in_size)
            ]
            torch.testing.assert_close(values[slot, 0, : spec.rows], torch.tensor(rows))


def test_buckets_cover_every_tensor_once() -> None:
    for width in (2, 3, 6):
        names = [
            spec.name for bucket in make_buckets(specs_of(width), 4.0) for spec in bucket.specs
        ]
        assert sorted(names) == sorted(toy_family().generated)


@given(st.floats(0.1, 2.0), st.integers(0, 100))
def test_noise_moves_channels_and_sizes_only(noise: float, seed: int) -> None:
    norm = 4.0
    for bucket in make_buckets(specs_of(3), norm):
        before = bucket.channels.clone()
        exact, noisy = (
            normalised(
                bucket,
                norm,
                noise=amount,
                draws=2,
                generator=torch.Generator().manual_seed(seed),
                first_exact=False,
            )
            for amount in (0.0, noise)
        )
        assert torch.equal(bucket.channels, before)
        assert torch.equal(noisy[..., [0, 3]], exact[..., [0, 3]])  # identity
        sizes = bucket.sizes[:, None, None]
        moved = (noisy - exact)[..., 1:3] * sizes
        resized = (noisy - exact)[..., 4:6] * norm
        for change in (moved, resized):
            assert change.abs().max() <= noise + 1e-4
            fixed = (bucket.morphing == 0)[:, None, None].expand_as(change)
            assert not change[fixed].any()
        # one size per tensor and draw: rows of one layer agree
        assert torch.equal(noisy[..., 4:6], noisy[..., :1, 4:6].expand_as(noisy[..., 4:6]))


def test_first_draw_can_be_exact_and_the_others_differ() -> None:
    bucket = make_buckets(specs_of(4), 4.0)[0]
    generator = torch.Generator().manual_seed(0)
    values = normalised(bucket, 4.0, noise=0.5, draws=3, generator=generator, first_exact=True)
    exact = normalised(bucket, 4.0, noise=0.0, draws=1, generator=None, first_exact=True)
    assert torch.equal(values[:, 0], exact[:, 0])
    assert not torch.equal(values[:, 1], values[:, 2])


def test_channel_jitter_moves_a_channel_the_same_way_in_all_its_tensors() -> None:
    specs, norm, noise, draws = specs_of(3), 4.0, 0.7, 2
    groups = toy_family().groups
    jitter = ChannelJitter(specs, groups)
    assert jitter.total == 3 + 6 + 12
    generator = torch.Generator().manual_seed(1)
    moved = jitter.draw(draws, noise, generator, first_exact=False)
    owner = {axis: number for number, group in enumerate(groups) for axis in group.axes}
    found: dict[tuple[int, int, int], set[float]] = {}
    for bucket in make_buckets(specs, norm, jitter):
        noisy = normalised(
            bucket,
            norm,
            noise=noise,
            draws=draws,
            generator=None,
            first_exact=False,
            moved=moved,
            offset=0.5,
            sized=False,
        )
        for slot, spec in enumerate(bucket.specs):
            for row in range(spec.rows):
                index = (row // spec.in_size, row % spec.in_size)
                for axis, size in enumerate((spec.out_size, spec.in_size)):
                    group = owner.get((spec.name, axis))
                    for draw in range(draws):
                        place = noisy[slot, draw, row, 1 + axis].item() * size - index[axis]
                        if group is None:
                            assert abs(place) < 1e-5  # image channels and classes stay
                        else:
                            key = (group, index[axis], draw)
                            found.setdefault(key, set()).add(round(place, 4))
                            assert 0.5 - noise - 1e-4 <= place <= 0.5 + noise + 1e-4
            assert not noisy[slot, :, :, 4:].any()
    assert len(found) == jitter.total * draws
    assert all(len(places) == 1 for places in found.values())
    assert len({next(iter(places)) for places in found.values()}) > 0.9 * len(found)


def test_first_draw_of_channel_jitter_can_be_exact() -> None:
    jitter = ChannelJitter(specs_of(4), toy_family().groups)
    moved = jitter.draw(3, 0.5, torch.Generator().manual_seed(0), first_exact=True)
    assert not moved[0].any() and moved[1, :-1].all() and not moved[:, -1].any()


def test_an_order_that_does_not_fit_its_stream_is_refused() -> None:
    settings = {"name": "cifar_resnet", "depth": 20, "scope": "last_block"}
    settings |= {"base_width": 64, "min_width": 1, "max_width": 64}
    family = make_family(settings, {"image_shape": [3, 32, 32], "classes": list("abc")})
    with pytest.raises(UserError, match="'stream 3' must be an order of 64 channels"):
        family.with_stream_orders({"stream 3": [1, 0]}).specs(at(8))


def test_streams_are_read_in_their_order_and_stay_in_the_network() -> None:
    settings = {"name": "cifar_resnet", "depth": 20, "scope": "last_block"}
    settings |= {"base_width": 64, "min_width": 1, "max_width": 64}
    images = toy_dataset().input_spec() | {"image_shape": [3, 32, 32]}
    images |= {"mean": [0.5] * 3, "std": [0.25] * 3}
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0)).tolist()
    plain = make_family(settings, images)
    family = family_from_header(plain.with_stream_orders({"stream 3": order}).header())
    assert family.shapes(at(8)) == plain.shapes(at(8))
    names = {spec.name: spec for spec in family.specs(at(8))}
    assert {name for name, spec in names.items() if spec.ranks != (None, None)} == {
        "layer3.2.conv1.weight",
        "layer3.2.conv2.weight",
        "layer3.2.conv2.bias",
    }
    seen = 0
    for bucket in make_buckets(family.specs(at(8)), 64.0):
        for slot, spec in enumerate(bucket.specs):
            if spec.ranks == (None, None):
                continue
            axis = 1 if spec.ranks[0] is None else 0
            grid = bucket.channels[slot, : spec.rows].view(spec.out_size, spec.in_size, 2)
            along = grid[0, :, 1] if axis == 1 else grid[:, 0, 0]
            assert along[order].tolist() == list(range(64))
            seen += 1
    assert seen == 3
