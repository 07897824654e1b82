"""Attention of torch's whose heads were cut: exact at full size, and what is left of it else."""

import copy
import io
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from neumeta.models.traced.attention import ResizedAttention, free_heads
from neumeta.models.traced.plan import Scope
from neumeta.models.traced.resize import resized
from tests.models.traced.resizing import at, one_step, outputs, planned, without
from tests.small_networks import noise

WIDTH, HEADS, LENGTH = 12, 4, 5


class Attending(nn.Module):
    """Attention to itself, and a layer after it."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.attention = nn.MultiheadAttention(WIDTH, HEADS, **options)
            self.last = nn.Linear(WIDTH, 2)
        for value in self.parameters():
            value.data += 0.1 * torch.randn(value.shape, generator=torch.Generator().manual_seed(1))

    def forward(self, inputs: Tensor) -> Tensor:
        keys = inputs[..., : self.attention.kdim]
        values = inputs[..., : self.attention.vdim]
        result: Tensor = self.last(self.attention(inputs, keys, values)[0])
        return result


def attention(**options: Any) -> tuple[nn.MultiheadAttention, ResizedAttention]:
    """torch's and ours, the same tensors in both."""
    theirs = Attending(**options).attention.eval()
    ours: Any = copy.deepcopy(theirs)
    ResizedAttention.take_over(ours)
    return theirs, ours


CAUSAL = nn.Transformer.generate_square_subsequent_mask(LENGTH)
PADDED = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
CALLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "without weights": {"need_weights": False},
    "weights of each head": {"average_attn_weights": False},
    "padding": {"key_padding_mask": PADDED},
    "padding, no weights": {"key_padding_mask": PADDED, "need_weights": False},
    "added mask": {"attn_mask": CAUSAL},
    "mask of truths": {"attn_mask": CAUSAL < 0, "need_weights": False},
    "mask of each head": {"attn_mask": noise(2 * HEADS, LENGTH, LENGTH)},
    "mask of each head, no weights": {
        "attn_mask": noise(2 * HEADS, LENGTH, LENGTH),
        "need_weights": False,
    },
    "both masks": {"attn_mask": CAUSAL < 0, "key_padding_mask": PADDED},
    "causal": {"attn_mask": CAUSAL, "is_causal": True, "need_weights": False},
    "causal, with weights": {"attn_mask": CAUSAL, "is_causal": True},
    "causal and padded": {
        "attn_mask": CAUSAL < 0,
        "is_causal": True,
        "key_padding_mask": PADDED,
        "need_weights": False,
    },
}
OPTIONS: dict[str, dict[str, Any]] = {
    "batch first": {"batch_first": True},
    "time first": {},
    "no bias": {"bias": False, "batch_first": True},
    "keys and values of other widths": {"kdim": 7, "vdim": 9, "batch_first": True},
    "learned extra keys": {"add_bias_kv": True, "batch_first": True},
    "extra keys of zero": {"add_zero_attn": True, "batch_first": True},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("call", CALLS)
def test_equals_torchs(options: str, call: str) -> None:
    theirs, ours = attention(**OPTIONS[options])
    inputs = noise(2, LENGTH, WIDTH)
    inputs = inputs if theirs.batch_first else inputs.transpose(0, 1)
    parts = inputs, inputs[..., : theirs.kdim], inputs[..., : theirs.vdim]
    for expected, found in zip(
        theirs(*parts, **CALLS[call]), ours(*parts, **CALLS[call]), strict=True
    ):
        assert (expected is None) == (found is None)
        if expected is not None:
            assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("batch_first", [True, False])
def test_equals_torchs_without_a_batch(batch_first: bool) -> None:
    theirs, ours = attention(batch_first=batch_first)
    inputs, padded = noise(LENGTH, WIDTH), PADDED[1]
    for expected, found in zip(
        theirs(inputs, inputs, inputs, key_padding_mask=padded),
        ours(inputs, inputs, inputs, key_padding_mask=padded),
        strict=True,
    ):
        assert torch.allclose(found, expected, atol=1e-6)


def test_a_hint_without_its_mask_is_an_error() -> None:
    _, ours = attention()
    with pytest.raises(ValueError, match="is_causal says what attn_mask is"):
        ours(*[noise(LENGTH, 2, WIDTH)] * 3, is_causal=True)


@pytest.mark.parametrize("need_weights", [True, False])
def test_dropout_in_training_alone(need_weights: bool) -> None:
    theirs, ours = attention(dropout=0.5, batch_first=True)
    inputs = noise(2, LENGTH, WIDTH)
    still = ours(inputs, inputs, inputs, need_weights=need_weights)[0]
    assert torch.allclose(still, theirs(inputs, inputs, inputs)[0], atol=1e-6)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        ours.train()
        first, second = (
            ours(inputs, inputs, inputs, need_weights=need_weights)[0] for _ in range(2)
        )
    assert not torch.allclose(first, second) and not torch.allclose(first, still)


@pytest.mark.parametrize("options", OPTIONS)
def test_some_heads(options: str) -> None:
    network, inputs = Attending(**OPTIONS[options]), noise(2, LENGTH, WIDTH)
    plan = planned(network, inputs, scope=Scope())
    after, group = plan.groups
    assert (group.level, len(group), len(after)) == ("block", HEADS, WIDTH)
    kept = {group.name: [0, 2, 3], after.name: list(range(2, WIDTH))}
    made: Any = resized(network, plan.groups, kept)
    assert made.attention.num_heads == 3
    assert made.attention.out_proj.weight.shape == (10, 9)
    assert torch.allclose(
        outputs(made, inputs), outputs(without(network, plan, kept), inputs), atol=1e-6
    )
    again = resized(network, plan.groups, kept)
    one_step(made, inputs)
    again.load_state_dict(made.state_dict(), strict=True)
    assert torch.equal(outputs(again, inputs), outputs(made, inputs))
    whole: Any = at(network, plan, 1)
    assert type(whole.attention) is nn.MultiheadAttention
    assert at(network, plan, 1.5).attention.num_heads == 6  # type: ignore[union-attr]


def test_heads_narrowed_as_the_stream_stay_torchs() -> None:
    module = nn.MultiheadAttention(WIDTH, HEADS)
    module.num_heads, half = 2, WIDTH // 2
    module.in_proj_weight = nn.Parameter(noise(3 * half, half))
    module.in_proj_bias = nn.Parameter(noise(3 * half))
    module.out_proj.weight = nn.Parameter(noise(half, half))
    module.out_proj.bias = nn.Parameter(noise(half))
    free_heads(module)
    assert type(module) is nn.MultiheadAttention and module.embed_dim == half
    assert module(*[noise(5, 2, half)] * 3)[0].shape == (5, 2, half)


def encoder(**options: Any) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 16, batch_first=True, **options)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=not options.get("norm_first"))


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")  # of the expected one
def test_stacks_of_torch_take_no_fast_path(norm_first: bool) -> None:
    """In evaluation mode torch runs its own layer as one operation, which knows one width."""
    network, inputs = encoder(norm_first=norm_first), noise(2, LENGTH, WIDTH)
    plan = planned(network, inputs, scope=Scope())
    assert [(group.level, len(group)) for group in plan.groups] == [
        *[("channel", 16)] * 2,
        *[("block", HEADS)] * 2,
    ]
    kept = {group.name: list(range(len(group)))[1::2] for group in plan.groups}
    second = {**kept, plan.groups[2].name: [0, 1, 2, 3]}
    for some in (kept, second):  # heads of all layers, and of the second alone
        made, expected = resized(network, plan.groups, some), without(network, plan, some)
        with torch.no_grad():
            for padding in (None, PADDED):
                found = made(inputs, src_key_padding_mask=padding)
                wanted = expected(inputs, src_key_padding_mask=padding)
                seen = slice(None) if padding is None else ~padding
                assert torch.allclose(found[seen], wanted[seen], atol=1e-5)
    one_step(made, inputs)


def test_the_stream_and_the_heads_of_a_decoder() -> None:
    layer = nn.TransformerDecoderLayer(WIDTH, HEADS, 16, batch_first=True)
    network = nn.TransformerDecoder(layer, 1)
    inputs = noise(2, LENGTH, WIDTH), noise(2, 3, WIDTH)
    plan = planned(network, *inputs)
    assert sorted(map(len, plan.groups)) == [HEADS, HEADS, 16]
    made = at(network, plan, 0.5)
    assert [type(m) for m in made.modules() if isinstance(m, nn.MultiheadAttention)] == [
        ResizedAttention
    ] * 2
    one_step(made, *inputs)


def test_export(tmp_path: Any) -> None:
    network, inputs = Attending(batch_first=True), noise(2, LENGTH, WIDTH)
    made = at(network, planned(network, inputs), 0.5)
    program = torch.onnx.export(made, (inputs,), dynamo=True, verbose=False)
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    found = session.run(None, {session.get_inputs()[0].name: inputs.numpy()})[0]
    assert torch.allclose(torch.from_numpy(found), outputs(made, inputs), atol=1e-5)


def test_a_whole_network_is_saved_and_loaded() -> None:
    network, inputs = Attending(batch_first=True), noise(2, LENGTH, WIDTH)
    made = at(network, planned(network, inputs), 0.5)
    buffer = io.BytesIO()
    torch.save(made, buffer)
    buffer.seek(0)
    loaded = torch.load(buffer, weights_only=False)
    assert torch.equal(outputs(loaded, inputs), outputs(made, inputs))
    assert torch.equal(outputs(copy.deepcopy(made), inputs), outputs(made, inputs))
