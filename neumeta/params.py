"""The schema of params.yaml: frozen, complete, unknown keys rejected, units in the field text."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from neumeta.errors import UserError

PARAMS_FILE = "params.yaml"
DEFAULT_DRAWS = 16  # K where a user of a checkpoint names none
RESERVED_NAMES = frozenset({"experiments", "datasets", "data", "summary", "index"})
NAME_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"

Width = Annotated[int, Field(ge=1, description="base width h, in channels")]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(gt=0, le=1, description="peak learning rate")]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Count = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0, description="factor of one loss term; 0 switches it off")]
Percent = Annotated[float, Field(ge=0, le=100, description="per cent")]
Changes = Annotated[dict[str, Any], Field(description="dotted key of the section train -> value")]
ScoredSplit = Literal["val", "test"]
Precision = Annotated[
    Literal["float32", "bfloat16"],
    Field(description="of matrix products and of the frozen trunk; weights stay float32"),
]
Criterion = Literal["random", "l1", "l2", "taylor", "hessian"]
Trains = Annotated[
    Literal["generated", "all"],
    Field(description="generated: what the INR makes, the rest as in the base; all: every tensor"),
]


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Widths = Annotated[tuple[Width, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
Seeds = Annotated[tuple[Seed, ...], BeforeValidator(_as_tuple), Field(min_length=1)]


class Section(BaseModel):
    """Base of every section: immutable, no unknown keys, no silent type changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


S = TypeVar("S", bound=Section)


class WidthRange(Section):
    """An inclusive range of base widths."""

    start: Width = Field(description="smallest width, channels")
    stop: Width = Field(description="largest width, channels, included")
    step: Count = Field(1, description="distance between widths, channels")

    @model_validator(mode="after")
    def _ordered(self) -> "WidthRange":
        if self.start > self.stop:
            raise ValueError(f"start {self.start} is above stop {self.stop}; start must be <= stop")
        return self

    def values(self) -> tuple[int, ...]:
        """List the widths.

        Returns:
            The widths in ascending order.
        """
        return tuple(range(self.start, self.stop + 1, self.step))


class DataParams(Section):
    """One dataset: where it comes from and how it is split."""

    source: Literal["sklearn_digits", "torchvision", "folder"]
    name: Literal["mnist", "fashion_mnist", "cifar10", "cifar100"] | None = Field(
        None, description="which torchvision dataset; only for source torchvision"
    )
    root: str | None = Field(
        None,
        description="folder (or zip, for source folder) that holds the data, absolute or below "
        "$NEUMETA_DATA_ROOT (default data/raw); null: that folder itself",
    )
    download: bool = Field(False, description="let torchvision download what is missing")
    test_fraction: Fraction = Field(
        0.0, description="share of all examples held out as test set, where none is published"
    )
    val_fraction: float = Field(gt=0, lt=1, description="share of the training set held out")
    split_seed: Seed
    mean: tuple[float, ...] | None = Field(
        None, description="per channel, of pixels in 0..1; null: of the training split"
    )
    std: tuple[float, ...] | None = Field(None, description="per channel, likewise; above 0")
    image_size: Count | None = Field(None, description="resize to this side, pixels; null: as is")
    limit: Count | None = Field(None, description="at most this many examples per split (toy runs)")

    @model_validator(mode="after")
    def _consistent(self) -> "DataParams":
        if (self.source == "torchvision") != (self.name is not None):
            raise ValueError("name goes with source torchvision, and only with it")
        if self.source == "sklearn_digits" and self.test_fraction == 0:
            raise ValueError("test_fraction must be above 0: digits has no published test set")
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std go together; give both or neither")
        if self.std is not None and min(self.std, default=0.0) <= 0:
            raise ValueError("std must be above 0 in every channel")
        return self

    @field_validator("mean", "std", mode="before")
    @classmethod
    def _list_to_tuple(cls, value: Any) -> Any:
        return _as_tuple(value)


class FamilyParams(Section):
    """The network family that morphs."""

    name: Literal["lenet", "cifar_resnet", "resnet18"]
    head: Literal["pooled", "corner"] | None = Field(
        None,
        description="lenet: the classifier reads the mean of the last map, or only cell (0, 0)",
    )
    depth: Literal[20, 32, 44, 56] | None = Field(None, description="cifar_resnet: layers")
    scope: Literal["last_block", "last_stage", "all_blocks"] | None = Field(
        None,
        description="resnets: whose hidden channels follow the width; the streams between the "
        "blocks never do. Hidden width of a stage is its full width times h / base_width",
    )
    base_width: Width = Field(
        description="width of the base network, channels; resnets: of the last stage, 64 or 512"
    )
    min_width: Width = Field(description="smallest width that may be built, channels")
    max_width: Width = Field(description="largest width that may be built, channels")

    @model_validator(mode="after")
    def _consistent(self) -> "FamilyParams":
        if not self.min_width <= self.base_width <= self.max_width:
            raise ValueError("must hold: min_width <= base_width <= max_width")
        needs = {"lenet": {"head"}, "cifar_resnet": {"depth", "scope"}, "resnet18": {"scope"}}
        wanted = needs[self.name]
        for field in ("head", "depth", "scope"):
            if (getattr(self, field) is not None) != (field in wanted):
                takes = " and ".join(sorted(wanted))
                raise ValueError(f"family {self.name} takes exactly {takes}; see {field}")
        full = {"cifar_resnet": 64, "resnet18": 512}.get(self.name, self.base_width)
        if self.base_width != full:
            raise ValueError(f"base_width of {self.name} must be {full}")
        return self

    def settings(self) -> dict[str, Any]:
        """Describe the family for `make_family` and for headers of files.

        Returns:
            The keys that this family takes.
        """
        return self.model_dump(exclude_none=True)


class OptimiserParams(Section):
    """The optimiser."""

    name: Literal["adamw", "sgd"]
    beta1: Fraction = Field(description="decay per step of the mean gradient; momentum of SGD")
    beta2: Fraction = Field(description="decay per step of the mean square; AdamW only")
    weight_decay: float = Field(ge=0, description="per step, times lr for AdamW")


class ScheduleParams(Section):
    """The learning rate over the steps."""

    shape: Literal["one_cycle", "cosine", "constant"]
    start_divisor: float = Field(ge=1, description="step 0 has peak divided by it; one_cycle only")
    rise: float = Field(gt=0, lt=1, description="share of steps before the peak; one_cycle only")


class Recipe(Section):
    """How an ordinary network is trained."""

    epochs: Count | None = Field(None, description="passes over the training set; or give steps")
    steps: Count | None = Field(None, description="optimiser steps; or give epochs")
    batch_size: Count = Field(description="examples per step")
    lr: Rate
    optimiser: OptimiserParams
    schedule: ScheduleParams

    @model_validator(mode="after")
    def _one_length(self) -> "Recipe":
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give exactly one of epochs and steps")
        return self


class FetchParams(Section):
    """Where the base network comes from."""

    source: Literal["train", "file", "url"]
    path: str | None = Field(None, description="checkpoint file; only for source file")
    url: str | None = Field(None, description="http(s) or file address; only for source url")
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="of the file; compulsory for file and url"
    )
    recipe: Recipe | None = Field(None, description="only for source train")
    seed: Seed = 0

    @model_validator(mode="after")
    def _consistent(self) -> "FetchParams":
        needs = {"train": ("recipe",), "file": ("path", "sha256"), "url": ("url", "sha256")}
        for field in ("path", "url", "sha256", "recipe"):
            if (getattr(self, field) is not None) != (field in needs[self.source]):
                wanted = " and ".join(needs[self.source])
                raise ValueError(f"source {self.source} takes exactly {wanted}; see {field}")
        return self


class PermuteParams(Section):
    """The search for the smoothing order of each clique group."""

    seed: Seed
    perturbations: int = Field(ge=0, description="random restarts from the best path per group")
    tolerance: float = Field(gt=0, description="largest allowed change of any output")


class EncodingParams(Section):
    """Fourier features of the coordinates."""

    identity_octaves: int = Field(
        ge=0, le=16, description="frequencies of tensor index and count; 0 for block, 4 for single"
    )
    index_octaves: int = Field(
        ge=0, le=16, description="frequencies per channel index; about log2(channels)"
    )
    size_octaves: int = Field(ge=0, le=16, description="frequencies per layer size")


class CoordinateParams(Section):
    """How a weight's place becomes a coordinate, and what moves in training and sampling."""

    jitter: Literal["weight", "channel"] = Field(
        description="weight: every weight is moved on its own, as published; channel: all weights "
        "of a channel are moved together, as if the channel lay elsewhere"
    )
    origin: Literal["edge", "centre"] = Field(
        description="channel i of n lies at i/n (edge, as published) or (i + 0.5)/n (centre)"
    )
    size: Literal["raw", "none"] = Field(
        description="whether the INR is told the layer's size (raw, as published) or not"
    )


class AugmentationParams(Section):
    """Random crops and flips, made once and kept in memory."""

    views: Count = Field(description="augmented copies of the training set; one is drawn per use")
    pad: int = Field(ge=0, description="zeros around the image before the crop, pixels")
    flip: bool = Field(description="mirror every second image, on average")
    seed: Seed


class NetworkParams(Section):
    """The INR itself."""

    layers: Count = Field(description="hidden layers, the first one included")
    hidden: Count = Field(description="units per hidden layer")
    residual: bool
    residual_scale: float = Field(ge=0, description="initial factor of each residual branch")
    arrangement: Literal["block", "single"] = Field(
        description="block: one MLP per generated tensor; single: one MLP for all"
    )


class PhaseParams(Section):
    """One phase of the training: steps and peak learning rate."""

    steps: int = Field(ge=0)
    lr: Rate
    schedule: ScheduleParams


class WarmStartParams(PhaseParams):
    """The warm start fits resampled base weights, without data."""

    noise: float = Field(ge=0, le=4, description="as train.noise, which holds in the task phase")


class TaskPhaseParams(PhaseParams):
    """The task phase also draws batches."""

    batch_size: Count = Field(description="examples per width and step")
    widths_per_step: Count = Field(description="configurations drawn per step")


class LossParams(Section):
    """Weights of the loss terms."""

    task: Weight
    distillation: Weight
    temperature: float = Field(gt=0, description="of the distillation softmax")
    reconstruction: Weight
    fade: float = Field(
        gt=0, description="the reconstruction weight reaches 0 after this share of the steps"
    )
    regularisation: Weight

    @model_validator(mode="after")
    def _something_to_learn(self) -> "LossParams":
        if not self.task + self.distillation + self.regularisation > 0:
            raise ValueError("task, distillation and regularisation are all 0; set one above 0")
        return self


class TrainParams(Section):
    """Training of the INR (Algorithm 2, with warm start and distillation)."""

    widths: WidthRange
    seeds: Seeds = Field(description="one INR is trained per seed")
    precision: Precision
    augmentation: AugmentationParams | None = Field(description="null: the images as they are")
    coordinates: CoordinateParams
    noise: float = Field(
        ge=0, le=4, description="half range a of U(-a, a) on channel indices and sizes, channels"
    )
    encoding: EncodingParams
    network: NetworkParams
    base_share: Fraction = Field(
        description="share of task steps kept for the base width, beside its turn among all widths"
    )
    warm_start: WarmStartParams
    task: TaskPhaseParams
    losses: LossParams
    optimiser: OptimiserParams
    clip_norm: float = Field(gt=0, description="largest allowed gradient norm")
    ema: Fraction = Field(description="decay per step of the averaged weights")
    probe_widths: Widths = Field(description="widths validated during training, channels")
    validate_every: Count = Field(description="task steps between validations")
    log_every: Count = Field(description="steps between rows of the loss curve")
    save_every: Count = Field(description="steps between resumable states")


class SweepParams(Section):
    """Sampling and evaluation at every width (Algorithm 3)."""

    widths: WidthRange
    draws: Count = Field(description="K draws averaged per network; draw 0 is noise-free")
    noise: float = Field(ge=0, le=4, description="half range of the noise of draws 1.., channels")
    seed: Seed


class ExamplesParams(Section):
    """What all trained networks see: two keys of the section train."""

    precision: Precision
    augmentation: AugmentationParams | None


class TeachingParams(Section):
    """Loss of a network that also learns from the base network."""

    task: Weight
    distillation: Weight
    temperature: float = Field(gt=0, description="of the distillation softmax")

    @model_validator(mode="after")
    def _something_to_learn(self) -> "TeachingParams":
        if not self.task + self.distillation > 0:
            raise ValueError("task and distillation are both 0; set one above 0")
        return self


class IndividualParams(Section):
    """Networks trained from fresh weights at one width each."""

    widths: Widths
    seeds: Seeds
    trains: Trains = "generated"
    recipe: Recipe


class DistilledParams(IndividualParams):
    """The same, with distillation from the base network."""

    losses: TeachingParams


class SlimmableParams(Section):
    """One set of weights whose first channels are the smaller networks."""

    seeds: Seeds
    random_widths: int = Field(ge=0, description="per step, beside the smallest and the largest")
    temperature: float = Field(gt=0, description="of the distillation from the largest width")
    rescale: bool = Field(description="make up for the smaller fan-in, as interpolation does")
    recipe: Recipe


class IntegralParams(Section):
    """The base weights as trainable knots, interpolated to every width."""

    seeds: Seeds
    losses: TeachingParams
    recipe: Recipe


class ScoringParams(Section):
    """Training examples behind the gradients of the Taylor and Hessian criteria."""

    batches: Count
    batch_size: Count
    seed: Seed


class PrunedParams(Section):
    """Pruning of the base network by several criteria, without and with fine-tuning."""

    criteria: Annotated[
        tuple[Criterion, ...],
        BeforeValidator(_as_tuple),
        Field(min_length=1),
    ] = ("l1",)
    scoring: ScoringParams | None = Field(None, description="for criteria taylor and hessian")
    random_seeds: Seeds = Field((0,), description="of criterion random, without fine-tuning")
    widths: Widths | None = Field(None, description="fine-tuned widths; null: no fine-tuning")
    seeds: Seeds = Field((0,), description="of the fine-tuning, and of its random choice")
    trains: Trains = "generated"
    recipe: Recipe | None = Field(None, description="of the fine-tuning; null: no fine-tuning")

    @model_validator(mode="after")
    def _consistent(self) -> "PrunedParams":
        if len(set(self.criteria)) < len(self.criteria):
            raise ValueError("criteria: each may stand there once")
        if (self.widths is None) != (self.recipe is None):
            raise ValueError("widths and recipe go together; give both or neither")
        if {"taylor", "hessian"} & set(self.criteria) and self.scoring is None:
            raise ValueError("criteria taylor and hessian need the section scoring")
        return self

    def choices(self) -> tuple[tuple[Criterion, int | None], ...]:
        """List the ways of choosing channels.

        Returns:
            Criterion and seed; None for a criterion without randomness.
        """
        return tuple(
            (criterion, seed)
            for criterion in self.criteria
            for seed in (self.random_seeds if criterion == "random" else (None,))
        )


class BaselineParams(Section):
    """What the INR is compared with; a kind that is null is not run."""

    widths: WidthRange = Field(description="widths of all but the kinds with widths of their own")
    origin: Literal["edge", "centre"] = Field(
        "edge", description="of interpolated and integral: channel i of n at i/n or (i + 0.5)/n"
    )
    pruned: PrunedParams | None = None
    individual: IndividualParams | None = None
    distilled: DistilledParams | None = None
    slimmable: SlimmableParams | None = None
    integral: IntegralParams | None = None

    def all_widths(self) -> dict[str, tuple[int, ...]]:
        """List the widths of all kinds.

        Returns:
            Widths by dotted key below `baselines`.
        """
        found = {"widths": self.widths.values()}
        for kind in ("pruned", "individual", "distilled"):
            section = getattr(self, kind)
            if section is not None and section.widths is not None:
                found[f"{kind}.widths"] = section.widths
        return found

    def above(self, base_width: int) -> tuple[int, ...]:
        """Find widths that cannot be made of the base network.

        Args:
            base_width: Width of the base network, channels.

        Returns:
            Those above it, of the kinds that cut or interpolate.
        """
        made = {k: w for k, w in self.all_widths().items() if k in ("widths", "pruned.widths")}
        return tuple(width for widths in made.values() for width in widths if width > base_width)


class AblateSample(Section):
    """How the networks of one row are sampled; what is null follows the sweep."""

    draws: Count | None = Field(None, description="K draws averaged")
    noise: float | None = Field(None, ge=0, le=4, description="half range of the noise, channels")


class AblateRow(Section):
    """One variant of the training: a line of the table, one INR per seed."""

    name: str = Field(min_length=1, description="shown in the table")
    change: Changes = Field(default_factory=dict, description="after the table's change_base")
    sample: AblateSample | None = Field(None, description="null: as the sweep")
    published: Percent | None = Field(None, description="accuracy in the paper, shown beside")


class AblateTable(Section):
    """Variants that are compared with each other."""

    name: str = Field(pattern=NAME_PATTERN, description="value of --table")
    title: str
    split: ScoredSplit | None = Field(None, description="null: that of the section")
    reference: str | None = Field(None, description="row that the others are compared with")
    change_base: Changes = Field(default_factory=dict, description="for all rows of the table")
    rows: Annotated[tuple[AblateRow, ...], BeforeValidator(_as_tuple), Field(min_length=1)]

    @model_validator(mode="after")
    def _names(self) -> "AblateTable":
        names = [row.name for row in self.rows]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"row {repeated[0]!r} is there twice; give each row its own name")
        if self.reference is not None and self.reference not in names:
            raise ValueError(f"reference {self.reference!r} is no row; rows are {names}")
        return self


class AblateParams(Section):
    """Tables of INRs that differ from the section `train` in a few keys.

    The test split is for tables beside published numbers, the validation split for choices.
    """

    split: ScoredSplit = Field(description="what the networks are scored on")
    widths: Widths = Field(description="widths sampled and scored, channels")
    seeds: Seeds = Field(description="one INR is trained per row and seed")
    tables: Annotated[tuple[AblateTable, ...], BeforeValidator(_as_tuple)]

    @model_validator(mode="after")
    def _names(self) -> "AblateParams":
        names = [table.name for table in self.tables]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"table {repeated[0]!r} is there twice; give each its own name")
        return self


class ReportParams(Section):
    """Text of the report, and published numbers to stand beside the measured ones."""

    title: str
    summary: str
    published: dict[Width, Percent] | None = Field(
        None, description="accuracy of NeuMeta in the paper by width, per cent"
    )
    published_base: Percent | None = Field(None, description="of the paper's base network")


class Experiment(Section):
    """One experiment: a dataset, a family, and one section per stage."""

    dataset: str
    family: FamilyParams
    fetch: FetchParams
    permute: PermuteParams
    train: TrainParams
    sweep: SweepParams
    baselines: BaselineParams
    ablate: AblateParams
    report: ReportParams

    @model_validator(mode="after")
    def _widths_in_family(self) -> "Experiment":
        low, high = self.family.min_width, self.family.max_width
        used = {
            "train.widths": self.train.widths.values(),
            "train.probe_widths": self.train.probe_widths,
            "sweep.widths": self.sweep.widths.values(),
        }
        used |= {f"baselines.{key}": w for key, w in self.baselines.all_widths().items()}
        used["ablate.widths"] = self.ablate.widths
        for table in self.ablate.tables:
            for row in table.rows:
                changed = row_params(self.train, table, row)
                widths = (*changed.widths.values(), *changed.probe_widths)
                used[f"ablate: table {table.name!r}, row {row.name!r}"] = widths
        for name, widths in used.items():
            for width in widths:
                if not low <= width <= high:
                    raise ValueError(f"{name}: width {width} is outside the family's {low}..{high}")
        for width in self.baselines.above(self.family.base_width):
            raise ValueError(f"baselines: width {width} is above the base width")
        return self


class Params(Section):
    """The whole file."""

    experiments: dict[str, str] = Field(description="what `dvc repro` runs: name -> dataset")
    datasets: tuple[str, ...] = Field(description="the datasets those experiments read")
    data: dict[str, DataParams]
    defined: dict[str, Experiment] = Field(description="every experiment section of the file")


def load_params(path: str | Path = PARAMS_FILE) -> Params:
    """Read and check the whole parameter file.

    Args:
        path: A YAML file as params.yaml.

    Returns:
        The checked parameters.

    Raises:
        UserError: Naming file, section, key and what is allowed, on the first fault.
    """
    raw = read_yaml(path)
    fixed = ("experiments", "datasets", "data")
    if missing := [key for key in fixed if key not in raw]:
        raise UserError(f"{path}: section {missing[0]!r} is missing")
    for key in ("experiments", "data"):
        if not isinstance(raw[key], dict):
            raise UserError(f"{path}: {key}: must be a mapping of names")
    data = {name: parse(DataParams, s, path, f"data.{name}") for name, s in raw["data"].items()}
    defined = {
        name: parse(Experiment, section, path, name)
        for name, section in raw.items()
        if name not in fixed
    }
    top = {"experiments": raw["experiments"], "datasets": _as_tuple(raw["datasets"])}
    params = parse(Params, {**top, "data": data, "defined": defined}, path, "")
    _check_names(params, path)
    return params


def load_section(model: type[S], key: str, path: str | Path = PARAMS_FILE) -> S:
    """Read one section only, so that a stage sees nothing that DVC does not track for it.

    Args:
        model: The schema of the section.
        key: Dotted key, such as `digits-lenet.train`.
        path: A YAML file as params.yaml.

    Returns:
        The checked section.

    Raises:
        UserError: If the section is missing or wrong.
    """
    return parse(model, load_value(key, path), path, key)


def load_value(key: str, path: str | Path = PARAMS_FILE) -> Any:
    """Read one plain value.

    Args:
        key: Dotted key, such as `digits-lenet.dataset`.
        path: A YAML file as params.yaml.

    Returns:
        What the file holds there, unchecked.

    Raises:
        UserError: If the key is missing.
    """
    value: Any = read_yaml(path)
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            allowed = ", ".join(sorted(map(str, value))) if isinstance(value, dict) else "nothing"
            raise UserError(f"{path}: no key {part!r} on the way to {key}; allowed are {allowed}")
        value = value[part]
    return value


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Args:
        path: The file.

    Returns:
        Plain Python values.

    Raises:
        UserError: If the file is missing or no YAML mapping.
    """
    try:
        value = YAML(typ="safe", pure=True).load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}: must hold a mapping of sections")
    return value


def parse(model: type[S], value: Any, path: str | Path, section: str) -> S:
    """Validate one section and turn pydantic's report into one line.

    Args:
        model: The schema.
        value: What the file holds.
        path: Named in the error.
        section: Dotted key of the section, named in the error.

    Returns:
        The checked section.

    Raises:
        UserError: Naming file, section, key and what is allowed.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        fault = faults[0]
        place = ".".join([*filter(None, [section]), *map(str, fault["loc"])])
        text = _explain(model, fault)
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise UserError(f"{path}: {place}: {text}{more}") from error


def row_params(train: TrainParams, table: AblateTable, row: AblateRow) -> TrainParams:
    """Apply the changes of one row of an ablation.

    Args:
        train: The section `train` of the experiment.
        table: The table, whose `change_base` comes first.
        row: One of its rows.

    Returns:
        The parameters of that row.

    Raises:
        UserError: Naming table, row, key and what is allowed.
    """
    changes = {**table.change_base, **row.change}
    where = f"ablate: table {table.name!r}, row {row.name!r}"
    if "seeds" in changes:
        raise UserError(f"{where}: seeds: not changed by rows; set ablate.seeds")
    value = train.model_dump()
    for key, new in changes.items():
        *parents, last = key.split(".")
        inner: dict[str, Any] = value
        for part in parents:
            if not isinstance(inner.get(part), dict):
                sections = ", ".join(name for name in inner if isinstance(inner[name], dict))
                raise UserError(f"{where}: {key}: no section {part!r}; allowed: {sections or '-'}")
            inner = inner[part]
        if last not in inner:
            allowed = ", ".join(name for name in inner if name != "seeds")
            raise UserError(f"{where}: {key}: unknown key {last!r}; allowed are {allowed}")
        inner[last] = new
    try:
        return TrainParams.model_validate(value)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(map(str, fault["loc"])) or ", ".join(changes)
        raise UserError(f"{where}: {place}: {_explain(TrainParams, fault)}") from error


def _explain(model: type[BaseModel], fault: Any) -> str:
    if fault["type"] == "extra_forbidden":
        owner = _owner(model, fault["loc"][:-1])
        allowed = ", ".join(owner.model_fields) if owner else "the keys of the schema"
        return f"unknown key; allowed are {allowed}"
    if fault["type"] == "missing":
        return "is missing"
    message = fault["msg"].removeprefix("Value error, ")
    got = fault.get("input")
    shown = f", got {got!r}" if not isinstance(got, dict | list | BaseModel) else ""
    return f"{message}{shown}"


def _owner(model: type[BaseModel], place: tuple[Any, ...]) -> type[BaseModel] | None:
    """Walk from a model down a path of field names to the nested model there."""
    for part in place:
        field = model.model_fields.get(str(part))
        kinds = getattr(field.annotation, "__args__", (field.annotation,)) if field else ()
        nested = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
        if not nested:
            return None
        model = nested[0]
    return model


def _check_names(params: Params, path: str | Path) -> None:
    for name in (*params.defined, *params.data):
        if name in RESERVED_NAMES:
            raise UserError(f"{path}: {name!r} is reserved; choose another name")
    for name in params.defined:
        if not re.match(NAME_PATTERN, name):
            raise UserError(f"{path}: experiment {name!r}: use lower-case letters, digits and '-'")
    for name, experiment in params.defined.items():
        if experiment.dataset not in params.data:
            allowed = ", ".join(params.data)
            raise UserError(
                f"{path}: {name}.dataset: no section data.{experiment.dataset}; allowed: {allowed}"
            )
    for name, dataset in params.experiments.items():
        if name not in params.defined:
            allowed = ", ".join(params.defined)
            raise UserError(f"{path}: experiments: {name!r} is not defined; allowed: {allowed}")
        expected = params.defined[name].dataset
        if dataset != expected:
            raise UserError(f"{path}: experiments.{name}: must be its dataset, {expected!r}")
        if dataset not in params.datasets:
            raise UserError(f"{path}: datasets: add {dataset!r}, which {name} reads")
    if unknown := sorted(set(params.datasets) - set(params.data)):
        allowed = ", ".join(params.data)
        raise UserError(f"{path}: datasets: {unknown[0]!r} is not defined; allowed: {allowed}")
