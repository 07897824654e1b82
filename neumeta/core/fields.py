"""The kinds of values, each with its limits and its unit."""

import operator
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from neumeta.core.errors import UserError

DEFAULT_DRAWS = 16  # K where a user of a checkpoint names none
NAME_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"

# Far beyond what is meant, so that a slip of a key is told at once and not by the memory.
MOST_COUNT = 10**9
MOST_BATCH = 2**16
MOST_VALUE = 1e9
MOST_SIDE = 2**13  # pixels
MOST_THREADS = 2**10
MOST_WIDTH = 2**12  # channels
MOST_SEED = 2**31 - 1
MOST_DRAWS = 2**12
MOST_NOISE = 4  # channels

Width = Annotated[int, Field(ge=1, le=MOST_WIDTH, description="base width h, in channels")]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(gt=0, le=1, description="peak learning rate")]
Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]
Count = Annotated[int, Field(ge=1, le=MOST_COUNT)]
Batch = Annotated[int, Field(ge=1, le=MOST_BATCH, description="examples per step")]
Draws = Annotated[int, Field(ge=1, le=MOST_DRAWS, description="K, draws averaged")]
Epochs = Annotated[int, Field(ge=1, le=10**6)]
Positive = Annotated[float, Field(gt=0, le=MOST_VALUE)]
Weight = Annotated[
    float, Field(ge=0, le=MOST_VALUE, description="factor of one loss term; 0 switches it off")
]
Percent = Annotated[float, Field(ge=0, le=100, description="per cent")]
Changes = Annotated[dict[str, Any], Field(description="dotted key of the section train -> value")]
ScoredSplit = Literal["val", "test"]
Precision = Annotated[
    Literal["float32", "bfloat16"],
    Field(description="of matrix products and of the frozen trunk; what is trained stays float32"),
]
Criterion = Literal["random", "l1", "l2", "taylor", "hessian"]
Trains = Annotated[
    Literal["generated", "all"],
    Field(description="generated: what the INR makes, the rest as in the base; all: every tensor"),
]


def as_tuple(value: Any) -> Any:
    """Turn a YAML list into a tuple.

    Args:
        value: Anything.

    Returns:
        The same; a list as a tuple.
    """
    return tuple(value) if isinstance(value, list) else value


def whole(name: str, value: object, low: int, high: int) -> int:
    """Take a whole number from whoever calls, such as one of numpy.

    Args:
        name: What it is, for errors.
        value: What was given.
        low: Smallest allowed value.
        high: Largest allowed value.

    Returns:
        The number.

    Raises:
        UserError: If it is none, or out of range.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or not low <= number <= high:
        raise UserError(f"{name} is {value!r}; must be {low} or more, a whole number up to {high}")
    return number


def distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse repeated values.

    Args:
        values: Of a list.

    Returns:
        The same.

    Raises:
        ValueError: If one is there twice.
    """
    if repeated := [value for value in values if values.count(value) > 1]:
        raise ValueError(f"{repeated[0]} is there twice; each may stand there once")
    return values


_List = (BeforeValidator(as_tuple), AfterValidator(distinct), Field(min_length=1))
Widths = Annotated[tuple[Width, ...], *_List]
Seeds = Annotated[tuple[Seed, ...], *_List]
Criteria = Annotated[tuple[Criterion, ...], *_List]


class Section(BaseModel):
    """Base of every section: immutable, no unknown keys, no silent type changes, finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


S = TypeVar("S", bound=Section)


class ComputingSection(Section):
    """Base of the section of a stage that computes with torch.

    The number of threads changes the order of floating-point sums, and so the last digits of a
    trained weight: a result is told together with it, and equal bytes need equal numbers. One
    thread loses least beside other work; further cores do other jobs of the stage.
    """

    threads: int = Field(
        1, ge=1, le=MOST_THREADS, description="threads of the CPU that one process computes with"
    )


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
