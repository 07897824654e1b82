"""The schema of params.yaml: frozen, complete, unknown keys rejected, units in the field text."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
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
    image_size: Count | None = Field(None, description="resize to this side, pixels; null: as is")
    limit: Count | None = Field(None, description="at most this many examples per split (toy runs)")

    @model_validator(mode="after")
    def _consistent(self) -> "DataParams":
        if (self.source == "torchvision") != (self.name is not None):
            raise ValueError("name goes with source torchvision, and only with it")
        if self.source == "sklearn_digits" and self.test_fraction == 0:
            raise ValueError("test_fraction must be above 0: digits has no published test set")
        return self


class FamilyParams(Section):
    """The network family that morphs."""

    name: Literal["lenet"]
    head: Literal["pooled", "corner"] = Field(
        description="what the classifier reads of the last map: its mean, or only cell (0, 0)"
    )
    base_width: Width = Field(description="width of the base network, channels")
    min_width: Width = Field(description="smallest width that may be built, channels")
    max_width: Width = Field(description="largest width that may be built, channels")

    @model_validator(mode="after")
    def _ordered(self) -> "FamilyParams":
        if not self.min_width <= self.base_width <= self.max_width:
            raise ValueError("must hold: min_width <= base_width <= max_width")
        return self


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

    epochs: Count
    batch_size: Count = Field(description="examples per step")
    lr: Rate
    optimiser: OptimiserParams
    schedule: ScheduleParams


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
    noise: float = Field(
        ge=0, le=4, description="half range a of U(-a, a) on channel indices and sizes, channels"
    )
    encoding: EncodingParams
    network: NetworkParams
    warm_start: PhaseParams
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


class IndividualParams(Section):
    """Networks trained from scratch at one width each."""

    widths: Widths
    seeds: Seeds
    recipe: Recipe


class PrunedParams(Section):
    """Magnitude pruning of the base network, without and with fine-tuning."""

    widths: Widths
    seeds: Seeds = Field(description="of the fine-tuning")
    recipe: Recipe = Field(description="of the fine-tuning")


class BaselineParams(Section):
    """What the INR is compared with."""

    widths: WidthRange = Field(description="widths of the training-free baselines")
    individual: IndividualParams
    pruned: PrunedParams


class ReportParams(Section):
    """Text of the report."""

    title: str
    summary: str


class Experiment(Section):
    """One experiment: a dataset, a family, and one section per stage."""

    dataset: str
    family: FamilyParams
    fetch: FetchParams
    permute: PermuteParams
    train: TrainParams
    sweep: SweepParams
    baselines: BaselineParams
    report: ReportParams

    @model_validator(mode="after")
    def _widths_in_family(self) -> "Experiment":
        low, high = self.family.min_width, self.family.max_width
        used = {
            "train.widths": self.train.widths.values(),
            "train.probe_widths": self.train.probe_widths,
            "sweep.widths": self.sweep.widths.values(),
            "baselines.widths": self.baselines.widths.values(),
            "baselines.individual.widths": self.baselines.individual.widths,
            "baselines.pruned.widths": self.baselines.pruned.widths,
        }
        for name, widths in used.items():
            for width in widths:
                if not low <= width <= high:
                    raise ValueError(f"{name}: width {width} is outside the family's {low}..{high}")
        for width in (*self.baselines.widths.values(), *self.baselines.pruned.widths):
            if width > self.family.base_width:
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
