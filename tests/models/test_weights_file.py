"""Files of weights as other people's training scripts save them: read, or refused in one line."""

import argparse
import collections
import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from neumeta.core.errors import UserError
from neumeta.data.torchvision_door import models
from neumeta.models.architectures import build_for
from neumeta.models.fitting import put_weights
from neumeta.models.lenet import LeNet
from neumeta.models.weights_file import parse_weights, read_weights


def network() -> nn.Module:
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))
    return nn.ModuleDict({"body": inner})


NETWORK = network()
STATE = NETWORK.state_dict()
OPTIMISER = torch.optim.SGD(NETWORK.parameters(), 0.1, momentum=0.9)
sum(p.sum() for p in NETWORK.parameters()).backward()  # type: ignore[union-attr]


def prefixed(prefix: str) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in STATE.items()}


def saved(content: Any, **how: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **how)
    return stream.getvalue()


OLD = {"_use_new_zipfile_serialization": False}
NESTED: dict[str, Any] = {
    **{
        key: {key: STATE, "epoch": 3, "acc": 93.1, "loss": torch.tensor(0.1)}
        for key in ("state_dict", "net", "model", "model_state_dict", "params_ema", "weights")
    },
    "with its optimiser": {"model": STATE, "optimizer": OPTIMISER.state_dict(), "epoch": 1},
    "twice the same": {"state_dict_ema": STATE, "state_dict": STATE},
    "lightning": {
        "state_dict": prefixed("model."),
        "hyper_parameters": {"lr": 0.1, "class_weights": torch.ones(2)},
        "callbacks": {"best": {"score": torch.tensor(1.0)}},
        "optimizer_states": [OPTIMISER.state_dict()],
    },
    "deep": {"ckpt": {"model": {"state_dict": STATE}}},
    **{
        prefix: prefixed(prefix)
        for prefix in ("module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.")
    },
    "module twice": prefixed("module.module."),
    "fsdp": prefixed("_fsdp_wrapped_module."),
    "fsdp within": {n.replace(".", "._fsdp_wrapped_module.", 1): v for n, v in STATE.items()},
    "averaged": {"n_averaged": torch.tensor(3), **prefixed("module.")},
    "profiled": {**STATE, "total_ops": torch.zeros(1), "body.0.total_params": torch.zeros(1)},
    "numpy scalars": {"state_dict": STATE, "best": np.float64(1), "other": np.float32(2)},
    "settings": {
        "state_dict": STATE,
        "args": argparse.Namespace(lr=0.1),
        "path": Path("x"),
        "device": torch.device("cpu"),
        "log": collections.defaultdict(list, loss=[0.1]),
    },
    "parameters": {**dict(NETWORK.named_parameters()), **dict(NETWORK.named_buffers())},
    "arrays": {name: value.numpy() for name, value in STATE.items()},
}


@pytest.mark.parametrize("how", [{}, OLD], ids=["zip", "old"])
@pytest.mark.parametrize("name", NESTED)
def test_weights_are_found_wherever_they_lie(name: str, how: dict[str, Any]) -> None:
    found = parse_weights(saved(NESTED[name], **how), name)
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[key], value) for key, value in STATE.items())
    put_weights(network(), found, name)


def test_a_whole_module_is_read_without_its_class() -> None:
    found = parse_weights(saved(NETWORK), "module")
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[key], value) for key, value in STATE.items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(dtype: torch.dtype) -> None:
    cast = {n: v.to(dtype) if v.is_floating_point() else v for n, v in STATE.items()}
    for content in (saved(cast), save(cast)):
        found = parse_weights(content, "cast")
        assert {v.dtype for v in found.values()} == {torch.float32, torch.int64}
        assert all(torch.equal(found[n], v.to(found[n].dtype)) for n, v in cast.items())


class Command:
    """Runs a command of the shell, or of Python, where a file of it is unpickled."""

    def __init__(self, function: Callable[..., Any], text: str) -> None:
        self.function, self.text = function, text

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return self.function, (self.text,)


@pytest.mark.parametrize("how", [{}, OLD], ids=["zip", "old"])
def test_code_in_a_file_is_not_run(tmp_path: Path, how: dict[str, Any]) -> None:
    trace = tmp_path / "trace"
    for function, text in (
        (os.system, f"touch {trace}"),
        (eval, f"open({str(trace)!r}, 'w')"),
        (exec, f"open({str(trace)!r}, 'w')"),
        (os.remove, __file__),
        (__import__, "antigravity"),
    ):
        content = saved({"state_dict": STATE, "x": Command(function, text)}, **how)
        try:
            assert parse_weights(content, "x").keys() == STATE.keys()
        except UserError as error:
            assert "neither safetensors nor" in str(error)
        assert not trace.exists() and Path(__file__).exists()
    # The old format keeps modules beside their source, which torch refuses as such.
    with pytest.raises(UserError, match=r"holds no state dict, but 'network'|neither"):
        parse_weights(saved({"network": LeNet}, **how), "x")


def test_what_holds_no_weights_says_what_it_holds() -> None:
    nan = {**STATE, "body.0.bias": torch.tensor([1.0, float("nan"), 0.0])}
    cases: list[tuple[Any, str]] = [
        ({"epoch": 3, "loss": torch.tensor(1.0)}, "holds no state dict, but 'epoch', 'loss'"),
        (OPTIMISER.state_dict(), "holds no state dict, but 'state', 'param_groups'"),
        (torch.ones(3), "but one tensor"),
        ([1, 2], "but a list"),
        (argparse.Namespace(a=1), "but an object of class argparse.Namespace"),
        ({}, "but an empty mapping"),
        ({"generator": STATE, "critic": nan | STATE | {"x": torch.ones(2, 2)}}, "several sets"),
        (nan, r"tensor 'body.0.bias' holds NaN or infinity"),
        ({"w": torch.eye(3).to_sparse()}, "tensor 'w' is sparse_coo"),
        ({"w": torch.empty(2, 2, device="meta")}, "tensor 'w' is without values"),
    ]
    for content, expected in cases:
        with pytest.raises(UserError, match=expected) as caught:
            parse_weights(saved(content), "here")
        assert "\n" not in str(caught.value) and str(caught.value).startswith("here: ")
    itself: dict[str, Any] = {"epoch": 1}
    itself["self"] = itself
    with pytest.raises(UserError, match="holds no state dict"):
        parse_weights(saved(itself), "here")


def test_prefixes_go_from_both_formats(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(save({"module.w": torch.ones(1)}))
    torch.save({"module.w": torch.ones(1)}, tmp_path / "a.pt")
    assert all(list(read_weights(tmp_path / n)) == ["w"] for n in ("a.safetensors", "a.pt"))
    kept = {"module.w": torch.ones(1), "v": torch.ones(1)}  # a module that is called so
    assert parse_weights(save(kept), "x").keys() == kept.keys()


def test_refusals_tell_what_was_found_and_what_fits() -> None:
    head = {("body.9" + n[6:] if n.startswith("body.3") else n): v for n, v in STATE.items()}
    wide = {**STATE, "body.0.weight": torch.zeros(3, 2, 3, 3)}
    whole = {**STATE, "body.0.weight": STATE["body.0.weight"].int()}
    cases = [
        (head, r"'body.3.bias' is missing \(2 in all\); the file has 'body.9.bias' of \(2,\)"),
        ({**STATE, "x": torch.ones(2)}, r"unexpected tensor 'x' of \(2,\) torch.float32"),
        (wide, r"'body.0.weight' is \(3, 2, 3, 3\) torch.float32; must be \(3, 1, 3, 3\)"),
        (whole, r"is \(3, 1, 3, 3\) torch.int32; must be \(3, 1, 3, 3\) torch.float32"),
    ]
    for weights, expected in cases:
        with pytest.raises(UserError, match=expected) as caught:
            put_weights(network(), weights, "here")
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"found 124 tensors, 'conv1.weight' of \(64, 3, 7, 7\) to"):
        changed = models.get_model("resnet18", weights=None)
        changed.fc = nn.Sequential(nn.Linear(512, 8), nn.ReLU(), nn.Linear(8, 7))
        build_for("resnet18", changed.state_dict(), "memory")


def of_densenet(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As torchvision publishes it: norm.1 for norm1, and no counters."""
    pattern = r"(denselayer\d+\.(?:norm|relu|conv))([12])\."
    return {re.sub(pattern, r"\1.\2.", n): v for n, v in state.items() if "num_batches" not in n}


def of_vit(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As torchvision publishes it: linear_1 and linear_2 for the layers 0 and 3 of an MLP."""
    old = {"mlp.0.": "mlp.linear_1.", "mlp.3.": "mlp.linear_2."}
    return {re.sub(r"mlp\.[03]\.", lambda m: old[m[0]], n): v for n, v in state.items()}


def same(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return state


@pytest.mark.parametrize(
    ("name", "rename"),
    [
        ("densenet121", of_densenet),
        ("vit_b_32", of_vit),
        ("mnasnet0_5", same),
        ("regnet_x_400mf", same),
    ],
)
def test_names_of_older_versions_are_taken_by_the_modules_own_loader(
    name: str, rename: Callable[[dict[str, Tensor]], dict[str, Tensor]]
) -> None:
    torch.manual_seed(0)
    source = models.get_model(name, weights=None).eval()
    content = save({n: v.clone() for n, v in rename(source.state_dict()).items()})
    built, images = build_for(name, parse_weights(content, name), name)  # no versions in there
    with torch.no_grad():
        assert torch.equal(built(images), source(images))


@pytest.mark.filterwarnings("ignore:A new version of MNASNet")
def test_a_file_of_the_first_mnasnet_keeps_its_own_stem() -> None:
    """Its version stands beside the names; the loader then builds the stem of that time."""
    source = models.get_model("mnasnet0_5", weights=None)
    today = source.state_dict()
    today._metadata[""] = {"version": 1}
    with pytest.raises(RuntimeError, match="size mismatch"):
        source.load_state_dict(today)  # has made it one of the first version, with other shapes
    state = source.eval().state_dict()
    built, images = build_for("mnasnet0_5", parse_weights(saved(state), "m"), "m")
    with torch.no_grad():
        assert torch.equal(built(images), source(images))
    state._metadata[""] = {"version": 2}
    with pytest.raises(UserError, match=r"tensor 'layers\.0\.weight' is \(32, .*; must be \(16, "):
        build_for("mnasnet0_5", parse_weights(saved(state), "m"), "m")


def test_a_number_beyond_all_weights_is_refused() -> None:
    state = {name: value.clone() for name, value in STATE.items()}
    next(iter(state.values())).flatten()[0] = 5e30
    for content in (saved(state), save(state)):
        with pytest.raises(UserError, match=r"holds a number above 1e\+12; the file is damaged"):
            parse_weights(content, "x")


@pytest.mark.parametrize("count", [3, 100_000])
def test_counters_that_were_cast_with_the_weights_are_read(count: int) -> None:
    state = {**STATE, "body.1.num_batches_tracked": torch.tensor(count)}
    weights = parse_weights(saved({name: value.half() for name, value in state.items()}), "file")
    assert weights["body.1.num_batches_tracked"].dtype == torch.int64
    put_weights(network(), weights, "file")
