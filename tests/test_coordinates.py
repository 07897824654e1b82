import torch
from hypothesis import given
from hypothesis import strategies as st

from neumeta.coordinates import TensorSpec, make_buckets, normalised, tensor_specs
from tests.toy import toy_family


def specs_of(width: int) -> tuple[TensorSpec, ...]:
    family = toy_family()
    return tensor_specs(family.shapes(width), family.generated, family.morphing_axes)


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
