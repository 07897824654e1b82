"""Networks by name, each traced and built at other widths: `python -m tests.forty_networks`.

A row for every network is appended to `reports/networks/networks.csv`; those that have one are
skipped, so that a run that was stopped goes on. `networks.md` beside it is the same as a table.
"""

import argparse
import csv
import io
import json
import logging
import time
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from neumeta.core.files import atomic_write_text
from neumeta.models.cost import count_params
from neumeta.models.traced.builder import builder
from neumeta.models.traced.plan import Plan, Scope, first_units, make_plan
from neumeta.models.traced.resize import resized
from neumeta.tracing.trace import trace_cliques
from tests.models.traced.resizing import without

FOLDER = Path("reports/networks")
RATIOS = (1.0, 0.77, 0.5)


@dataclass(frozen=True)
class Case:
    """A network to try.

    Attributes:
        build: As `builder` takes it.
        shape: Of one example.
        options: Of the builder.
    """

    build: str
    shape: tuple[int, ...] = (3, 64, 64)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What rows are called by."""
        return self.build


def _seen(library: str, *names: str, size: int = 64, **options: Any) -> list[Case]:
    return [Case(f"{library}:{name}", (3, size, size), options) for name in names]


CASES = (
    *_seen("torchvision", "resnet18", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0"),
    *_seen("torchvision", "resnext50_32x4d", "regnet_y_400mf", "shufflenet_v2_x1_0"),
    *_seen("torchvision", "squeezenet1_1", "mnasnet0_5", "densenet121", "convnext_tiny"),
    *_seen("torchvision", "googlenet", init_weights=False, aux_logits=False),
    Case("torchvision:r3d_18", (3, 4, 32, 32), {"num_classes": 10}),
    Case("torchvision:mc3_18", (3, 4, 32, 32), {"num_classes": 10}),
    *_seen("torchvision", "deeplabv3_mobilenet_v3_large", num_classes=5),
    *_seen("torchvision", "lraspp_mobilenet_v3_large", num_classes=5),
    *_seen("timm", "vit_tiny_patch16_224", "deit_tiny_patch16_224", img_size=64),
    *_seen("torchvision", "swin_t"),
    *_seen("timm", "tf_efficientnet_lite0", "resnet18d", "seresnet18", "ecaresnet26t"),
    *_seen("timm", "resnest14d", "skresnet18", "ghostnet_050", "mixnet_s", "repvgg_a0"),
    *_seen("timm", "dla34", "ese_vovnet19b_slim", "cspresnet50", "eca_nfnet_l0"),
    *_seen("timm", "nf_resnet26", "hardcorenas_a", "tinynet_e", "rexnet_100"),
    *_seen("timm", "edgenext_xx_small", "mobileone_s0", "mobilenetv4_conv_small", "dpn48b"),
    *_seen("timm", "hgnetv2_b0", "lcnet_050", "regnetz_005", "selecsls42"),
    *_seen("timm", "mobilevit_xxs", "mobilevitv2_050", "poolformer_s12", "fastvit_t8"),
    *_seen("timm", "convnext_atto", "inception_next_atto", "starnet_s1", "pvt_v2_b0"),
    *_seen("timm", "levit_128s", "efficientformer_l1", size=224),
    *_seen("timm", "mixer_s32_224", "gmlp_ti16_224", "resmlp_12_224", img_size=64),
    *_seen("timm", "xcit_nano_12_p16_224", img_size=64),
    # Those that take longest.
    *_seen("torchvision", "alexnet", num_classes=10),
    *_seen("torchvision", "inception_v3", size=96, init_weights=False, aux_logits=False),
    *_seen("torchvision", "fcn_resnet50", num_classes=5),
    *_seen("torchvision", "vit_b_16", image_size=64, num_classes=10),
    *_seen("torchvision", "wide_resnet50_2", "efficientnet_v2_s"),
    *_seen("torchvision", "vgg11_bn", num_classes=10),
    Case("torchvision:r2plus1d_18", (3, 4, 32, 32), {"num_classes": 10}),
    *_seen("timm", "hrnet_w18_small", "convmixer_768_32", "res2net50_14w_8s"),
    *_seen("timm", "swin_tiny_patch4_window7_224", size=224),
    *_seen("torchvision", "swin_v2_t"),
    *_seen("torchvision", "maxvit_t", size=224, num_classes=10),
)


def measured(case: Case) -> dict[str, Any]:
    """Do all that is asked of a network.

    Args:
        case: Which.

    Returns:
        A row; `failed` names the first step that failed, and `error` says how.
    """
    row: dict[str, Any] = dict.fromkeys(COLUMNS, "")
    row["name"], step, start = case.name, "trace", time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(0)
            network = builder(case.build, case.options)()
            _enliven(network)
            example = torch.randn(2, *case.shape)
            cliques = trace_cliques(network, example)
            plan = make_plan(network, example, cliques=cliques)
            wide = make_plan(network, example, scope=Scope(streams=True), cliques=cliques)
            row |= _described(network, plan, wide)
            row["trace_s"] = round(time.perf_counter() - start, 1)
            shapes = list(map(_shape, _outputs(network, example)))
            step = "streams"
            if wide.groups != plan.groups:
                made, other = (_built(network, wide, 0.5) for _ in range(2))
                assert list(map(_shape, _outputs(made, example))) == shapes
                _check_saved(made, other, example)
                _train(made, example)
            used = plan if plan.groups else wide  # all that some networks have are streams
            for ratio in RATIOS[1:]:
                step = "build"
                made, other = (_built(network, used, ratio) for _ in range(2))
                row[f"params_{ratio}"] = count_params(made)
                step = "forward"
                assert list(map(_shape, _outputs(made, example))) == shapes
                if ratio == min(RATIOS):
                    row["zeros_error"] = f"{_zeros_error(network, used, made, example):.1e}"
                step = "save"
                _check_saved(made, other, example)
                if ratio == min(RATIOS):
                    step = "onnx"
                    row["onnx_error"] = f"{_onnx_error(made, example):.1e}"
                step = "train"
                _train(made, example)
    except Exception as error:  # whatever a network says
        row["failed"] = step
        row["error"] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    row["seconds"] = round(time.perf_counter() - start, 1)
    return row


COLUMNS = (
    *("name", "failed", "groups", "heads", "streams", "morphing", "morphing_streams"),
    *("params_1.0", "params_0.77"),
    *(
        "params_0.5",
        "params_0.5_streams",
        "zeros_error",
        "onnx_error",
        "trace_s",
        "seconds",
        "held",
        "error",
    ),
)


def _enliven(network: nn.Module) -> None:
    """Let no branch start at zero, nor a signal vanish: a dead network is equal to any other."""
    with torch.no_grad():
        for value in network.parameters():
            if value.ndim < 2:
                value.copy_(torch.rand_like(value) + 0.5)
            else:
                value.copy_(torch.randn_like(value) * (2 / value[0].numel()) ** 0.5)


def _described(network: nn.Module, plan: Plan, wide: Plan) -> dict[str, Any]:
    held = Counter[str]()
    for one in plan.held:
        held[one.reason.partition(": ")[0]] += one.size
    return {
        "groups": len(plan.groups),
        "heads": sum(group.level == "block" for group in plan.groups),
        "streams": len(plan.streams),
        "morphing": round(_morphing(network, plan), 3),
        "morphing_streams": round(_morphing(network, wide), 3),
        "params_1.0": count_params(network),
        "params_0.5_streams": count_params(_built(network, wide, 0.5)),
        "held": "; ".join(f"{reason}: {count}" for reason, count in held.most_common()),
    }


def _morphing(network: nn.Module, plan: Plan) -> float:
    """Share of parameters of which some unit of a group decides whether they are there."""
    covered: dict[str, dict[int, int]] = {}
    for group in plan.groups:
        for member in group.members:
            axes = covered.setdefault(member.tensor, {})
            axes[member.axis] = axes.get(member.axis, 0) + sum(map(len, member.places))
    total = 0.0
    for name, value in network.named_parameters():
        stays = 1.0
        for axis, places in covered.get(name, {}).items():
            stays *= 1 - places / value.shape[axis]
        total += value.numel() * (1 - stays)
    return total / count_params(network)


def _built(network: nn.Module, plan: Plan, ratio: float) -> nn.Module:
    return resized(network, plan.groups, first_units(plan.sizes(ratio), plan.groups))


def _shape(value: Tensor) -> tuple[int, ...]:
    return tuple(value.shape)


def _outputs(network: nn.Module, example: Tensor) -> list[Tensor]:
    network.eval()
    with torch.no_grad():
        return [leaf for leaf in tree_leaves(network(example)) if isinstance(leaf, Tensor)]


def _check_saved(made: nn.Module, other: nn.Module, example: Tensor) -> None:
    """Its weights, once others, load strictly into a second one of the same size."""
    with torch.no_grad():
        for value in made.parameters():
            value.mul_(1 + 0.1 * torch.rand_like(value))
    buffer = io.BytesIO()
    torch.save(made.state_dict(), buffer)
    buffer.seek(0)
    other.load_state_dict(torch.load(buffer, weights_only=True), strict=True)
    for mine, theirs in zip(_outputs(made, example), _outputs(other, example), strict=True):
        assert torch.equal(mine, theirs), "other outputs after loading"


def _zeros_error(network: nn.Module, plan: Plan, made: nn.Module, example: Tensor) -> float:
    """How far it lies off the whole network with the dropped units at zero.

    Nothing but rounding, unless units are normalised over, or are heads or parts of a stream.
    """
    zeros = without(network, plan, first_units(plan.sizes(min(RATIOS)), plan.groups))
    pairs = zip(_outputs(made, example), _outputs(zeros, example), strict=True)
    return max(float((a - b).abs().max() / b.abs().max().clamp_min(1e-12)) for a, b in pairs)


def _onnx_error(made: nn.Module, example: Tensor) -> float:
    """How far the outputs of the exported network lie off, relative to the largest of them."""
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    expected = _outputs(made, example)
    program = torch.onnx.export(made, (example,), dynamo=True, verbose=False)
    assert program is not None
    content = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: example.numpy()})
    errors = [
        float(np.abs(a - b.numpy()).max() / max(float(b.abs().max()), 1e-12))
        for a, b in zip(found, expected, strict=True)
    ]
    assert max(errors) < 1e-3, f"ONNX outputs differ by {max(errors):.1e} of the largest"
    return max(errors)


def _train(made: nn.Module, example: Tensor) -> None:
    """One step with gradients, in training mode."""
    made.train()
    optimiser = torch.optim.SGD(made.parameters(), lr=1e-3)
    outputs = [v for v in tree_leaves(made(example)) if isinstance(v, Tensor)]
    sum(value.square().mean() for value in outputs).backward()  # type: ignore[union-attr]
    grads = [value.grad for value in made.parameters() if value.grad is not None]
    assert len(grads) > 0.9 * len(list(made.parameters())), "parameters without gradients"
    assert all(bool(grad.isfinite().all()) for grad in grads), "gradients are not finite"
    optimiser.step()


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _written(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic_write_text(path, buffer.getvalue())
    atomic_write_text(path.with_suffix(".md"), _markdown(rows))


def _markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    head = [
        *("network", "groups", "of heads", "streams", "share that morphs"),
        *("with streams", "parameters"),
        *("at 0.77", "at 0.5", "at 0.5, streams too", "result"),
    ]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        numbers = (row[key] for key in ("params_1.0", "params_0.77", "params_0.5"))
        counts = [f"{int(n):,}" if n != "" else "" for n in (*numbers, row["params_0.5_streams"])]
        shares = [
            f"{float(row[key]):.0%}" if row[key] != "" else ""
            for key in ("morphing", "morphing_streams")
        ]
        result = f"fails: {row['failed']}: {row['error']}" if row["failed"] else "passes"
        cells = (row["name"], row["groups"], row["heads"], row["streams"], *shares, *counts, result)
        lines.append("| " + " | ".join(str(cell).replace("|", "/") for cell in cells) + " |")
    passed = sum(not row["failed"] for row in rows)
    return f"{passed} of {len(rows)} networks pass every step.\n\n" + "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Try networks and write the table.

    Args:
        argv: Arguments, or None for those of the process.

    Returns:
        The exit status: 1 if a network failed.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.forty_networks", description=__doc__)
    parser.add_argument("names", nargs="*", help="try these again (default: those without a row)")
    parser.add_argument("--out", type=Path, default=FOLDER / "networks.csv")
    parser.add_argument("--json", action="store_true", help="print rows as JSON lines")
    args = parser.parse_args(argv)
    known = {case.name: case for case in CASES}
    for name in args.names:
        if name not in known:
            parser.error(f"{name!r} is none of {', '.join(known)}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for name in args.names or known:
        rows = {row["name"]: row for row in _rows(args.out)}
        if name in rows and not args.names:
            continue
        rows[name] = row = measured(known[name])
        _written([rows[case] for case in known if case in rows], args.out)
        shown = json.dumps(row) if args.json else f"{name}: {row['failed'] or 'passes'}"
        print(shown, row["error"] if not args.json else "", flush=True)
    return int(any(row["failed"] for row in _rows(args.out)))


if __name__ == "__main__":
    raise SystemExit(main())
