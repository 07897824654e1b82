"""From a trained network of anybody's to one file that holds it at every width."""

import copy
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neumeta.core.boundary import called_by_users
from neumeta.core.checkpoint import payload_sha256
from neumeta.core.device import choose_device
from neumeta.core.errors import CollapseError, UserError, first_line
from neumeta.core.fields import MOST_COUNT, MOST_SEED, MOST_WIDTH, whole
from neumeta.core.files import atomic_write_bytes, check_writable
from neumeta.core.processes import ALONE
from neumeta.core.reading import parse
from neumeta.core.targets import check_targets, checkpoint
from neumeta.data.dataset import Dataset
from neumeta.data.given import given_dataset
from neumeta.methods.metamorphosis.inr_file import read_inr
from neumeta.methods.metamorphosis.morph import MorphableNetwork
from neumeta.methods.metamorphosis.params.train import TrainParams
from neumeta.methods.metamorphosis.recipe import BATCH, default_recipe
from neumeta.methods.metamorphosis.seeds import Seeds, seed_store
from neumeta.models.called import Call, CalledNetwork, called
from neumeta.models.family import Family
from neumeta.models.parameters import moved, parameters_of
from neumeta.models.traced.norms import without_statistics
from neumeta.models.traced.surgery import traced_family
from neumeta.models.traced.trust import OWN
from neumeta.permute.orders import find_orders
from neumeta.permute.solve import quick_order

PER_CENT = 100  # widths of such families are whole per cents
_LEAST = 5


@called_by_users
def metamorphose(
    network: nn.Module,
    images: Any,
    *,
    widths: Sequence[float] = (0.5, 1.0),
    steps: int = 1500,
    out: str | Path | None = None,
    scope: str | Sequence[str] = "*",
    streams: bool = False,
    multiple: int = 1,
    build: str | None = None,
    options: Mapping[str, Any] | None = None,
    image_size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    classes: Sequence[str] | None = None,
    count: int | None = None,
    call: Call | None = None,
    seed: int = 0,
    device: str | None = None,
    resume: str | Path | None = None,
    change: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> MorphableNetwork:
    """Train an INR that holds a network at every width; the network itself is not changed.

    Example:
        >>> morph = neumeta.metamorphose(network, loader, steps=1500)  # doctest: +SKIP
        >>> narrow = morph.sample(0.63)  # doctest: +SKIP

    Args:
        network: A trained classifier: takes images, returns one number for each class. One of
            half or double precision is taken in float32.
        images: A folder of pictures, a DataLoader of tensors or of pairs (images, classes), or a
            tensor; see `given_dataset`. Without classes the network's own answers are learnt.
        widths: Smallest and largest share of the channels that are trained; the largest is 1.0.
        steps: Training steps, a batch of up to 128 each, after a start without data.
        out: File to which the result is written, `.safetensors`; None writes none.
        scope: Layers that change, as `neumeta trace` names them; patterns such as `blocks.4.*`.
        streams: Whether residual streams change, too.
        multiple: What sizes are rounded to multiples of, channels.
        build: Text of a builder of this network, `package.module:function`, so that a file of it
            can be opened without the network; None needs `neumeta.load(FILE, network=...)`.
        options: Arguments of the builder.
        image_size: Of a folder: side to which pictures are resized, pixels.
        mean: Per channel, by which tensors were normalised, of pixels in 0 to 1.
        std: Likewise.
        classes: Names of the classes, in the order of the outputs.
        count: At most so many images; of a folder, of each of its splits.
        call: Takes the network and a batch as the DataLoader gives it, and returns one number for
            each class: for networks that are called with dicts, keywords or several inputs.
        seed: Of the split, the orders and the training.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`; None asks $NEUMETA_DEVICE, else auto.
        resume: Folder that keeps the state of an unfinished training: called again with the same
            arguments, it goes on from there. None keeps none.
        change: Takes the section `train` as a mapping and returns another, for whoever wants to
            set more than this.

    Returns:
        The networks of all widths.

    Raises:
        UserError: If the network or the images are none of that kind.
    """
    if not isinstance(network, nn.Module):
        raise UserError(f"network is a {type(network).__name__}; must be a torch.nn.Module")
    low, high = _range(widths)
    whole("steps", steps, 0, MOST_COUNT)
    whole("seed", seed, 0, MOST_SEED)
    whole("multiple", multiple, 1, MOST_WIDTH)
    where = choose_device(device)
    if out is not None:  # before the work, not after it
        check_targets([], [(out, checkpoint("inr"))])
        check_writable(out)
    if resume is not None:
        check_writable(Path(resume) / "state")
    if call is not None:
        network, images = _packed(network, call, images)
    dataset = given_dataset(
        images,
        image_size=image_size,
        mean=mean,
        std=std,
        classes=classes,
        count=count,
        seed=seed,
    )
    base = without_statistics(copied(network))
    dataset = _answered(base, dataset)
    settings: dict[str, Any] = {
        "name": "traced",
        "build": build or f"{OWN}:{type(network).__name__}",
        "base_width": PER_CENT,
        "min_width": min(low, _LEAST),
        "max_width": PER_CENT,
        "scope": scope if isinstance(scope, str) else list(scope),
        "streams": streams,
        "multiple": multiple,
    }
    if options:
        settings["options"] = dict(options)
    family = traced_family(settings, dataset.input_spec(), network)
    weights, family = _ordered(family, parameters_of(base), seed)
    params = default_recipe(
        low=low,
        high=high,
        units=_longest(family),
        steps=steps,
        seed=seed,
        images=dataset.size("train"),
    )
    if change is not None:
        params = parse(TrainParams, change(params.model_dump(mode="json")), "change", "train")
    origin = {
        "noise": params.sample_noise,
        "train_widths": list(params.widths.values()),
        "data_sha256": dataset.content_sha256(),
    }
    shared = [params.model_dump(mode="json"), family.header(), origin, payload_sha256(weights)]
    with ExitStack() as stack:
        folder = resume or stack.enter_context(tempfile.TemporaryDirectory())
        store = seed_store(folder, shared)
        seeds = Seeds(
            family,
            moved(weights, where),
            dataset.to(where),
            params,
            origin,
            store,
            ALONE,
        )
        try:
            store.run(seeds.jobs(), "INR")
        except CollapseError as error:
            raise UserError(
                f"the INR does not follow the network after {steps} steps: no width answers better "
                "than one whose generated layers are zero; take more steps, or a narrower scope"
            ) from error
        _, inr, frozen, header = read_inr(seeds.inr_path(seed), network)
        if out is not None:
            atomic_write_bytes(out, seeds.inr_path(seed).read_bytes())
    return MorphableNetwork(family, inr.to(where), moved(frozen, where), header)


def _packed(network: nn.Module, call: Call, batches: Any) -> tuple[CalledNetwork, list[Tensor]]:
    """The network as one that takes packed batches, and those."""
    held = list(batches)
    if not held:
        raise UserError("images: no batch came; is the DataLoader empty?")
    wrapped = called(network, call, held[0])
    return wrapped, [wrapped.pack(batch) for batch in held]


def _range(widths: object) -> tuple[int, int]:
    try:
        shares = [float(width) for width in iter(widths)]  # type: ignore[call-overload]
    except (TypeError, ValueError) as error:
        raise UserError(f"widths are {widths!r}; must be shares, such as (0.5, 1.0)") from error
    if not shares or not all(0 < share <= 1 for share in shares) or max(shares) != 1:
        raise UserError(f"widths are {widths!r}; must be shares above 0, the largest of them 1.0")
    return max(1, round(min(shares) * PER_CENT)), PER_CENT


def _answered(network: nn.Module, dataset: Dataset) -> Dataset:
    """Fill in what a data set does not know: the network's own answers, and numbers as names."""
    answers = {
        split: _answers(network, dataset.normalise(images))
        for split, images in dataset.images.items()
    }
    outputs = answers["train"].shape[1]
    names = dataset.classes or tuple(map(str, range(outputs)))
    if len(names) != outputs:
        raise UserError(
            f"the network returns {outputs} numbers for an image, but there are {len(names)} "
            "classes; give tensors without classes to learn its own answers"
        )
    labels = dataset.labels
    if any(bool((values < 0).any()) for values in labels.values()):
        labels = {split: values.argmax(1) for split, values in answers.items()}
    if any(bool((values >= outputs).any()) for values in labels.values()):
        raise UserError(f"classes of images must be 0 to {outputs - 1}, as the network has outputs")
    return replace(dataset, labels=labels, classes=names)


def _answers(network: nn.Module, inputs: Tensor) -> Tensor:
    try:
        with torch.no_grad():
            found = [network(batch) for batch in inputs.split(BATCH)]
    except Exception as error:  # whatever its code says
        shape = tuple(inputs.shape[1:])
        raise UserError(
            f"the network does not take images of shape {shape}: {first_line(error)}"
        ) from error
    if not all(isinstance(value, Tensor) and value.ndim == 2 for value in found):
        raise UserError("the network must return one number for each class, shape (n, classes)")
    answers = torch.cat(found)
    if not bool(answers.isfinite().all()):
        raise UserError("the network returns numbers that are not finite for some of the images")
    return answers


def _longest(family: Family) -> int:
    """Places of the longest axis that follows the width; a unit may have several."""
    shapes = family.shapes(family.base)
    return max(shapes[name][axis] for group in family.groups for name, axis in group.axes)


def _ordered(
    family: Family, base: Mapping[str, Tensor], seed: int
) -> tuple[dict[str, Tensor], Family]:
    """Put the channels in smooth orders; the function stays."""
    generator = np.random.default_rng(seed)

    def solve(distances: np.ndarray) -> np.ndarray:
        return quick_order(distances, generator)

    arrangement, _ = find_orders(base, family.groups, solve)
    permuted = arrangement.apply(base)
    _, ranked = find_orders(permuted, family.streams, solve)
    return permuted, family.with_stream_orders({one.name: list(one.order) for one in ranked})


def copied(network: nn.Module) -> nn.Module:
    """Copy a network to the CPU, in float32, for use without training.

    Args:
        network: Not changed.

    Returns:
        The copy, in evaluation mode.
    """
    return copy.deepcopy(network).cpu().float().eval()
