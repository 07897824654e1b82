"""The slow side: Algorithms 2 and 3, literally, and a leaner form of the step."""

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neumeta.methods.metamorphosis.generator import WeightGenerator
from neumeta.training.optimiser import make_optimiser
from tests.benchmarks.case import NOISE, WIDTH, Case, train_params
from tests.literal import EXACT, Batch, LiteralInr, descend, loss_terms, sample
from tests.toy import at

Result = tuple[float, float]  # accuracy, a fraction; mean loss, nats
BATCH = 128  # test images per forward pass; 1000 take more than twice as long on a CPU


class KeptRows(LiteralInr):
    """The literal INR, but with the rows of coordinates built once, as the published code does."""

    def __init__(self, inr: WeightGenerator) -> None:
        super().__init__(inr)
        self._rows: dict[tuple[int, int], Tensor] = {}

    def rows(self, width: int, index: int) -> Tensor:
        """See the literal one; a fresh copy, for noise is added to it."""
        if (width, index) not in self._rows:
            self._rows[width, index] = super().rows(width, index)
        return self._rows[width, index].clone()


def step_of(case: Case, inr: WeightGenerator, *, lean: bool) -> Callable[[], float]:
    """One step of Algorithm 2 with the terms of the paper, in single precision.

    Args:
        case: The work.
        inr: Where the weights of the INR start.
        lean: Whether rows of coordinates are kept and the frozen weights get no gradients. The
            published code keeps the former and computes the latter.
    """
    params = train_params(case.size, "float32")
    literal = KeptRows(inr) if lean else LiteralInr(inr)
    average = copy.deepcopy(literal)
    optimiser = make_optimiser(literal.parameters(), params.optimiser)
    base = {n: w.clone().requires_grad_(not lean) for n, w in case.base.items()}
    targets = case.family.resample(case.base, at(WIDTH))
    train = case.data.split("train")
    random = torch.Generator().manual_seed(0)
    losses = params.losses
    factors = {
        "task": losses.task,
        "reconstruction": losses.reconstruction,
        "regularisation": losses.regularisation,
    }

    def step() -> float:
        for value in base.values():
            value.grad = None
        draw = literal.fresh_draw(WIDTH, random)
        chosen = torch.randint(len(train), (case.size.batch,), generator=random)
        batch = Batch(WIDTH, draw, train.inputs[chosen], train.targets[chosen])
        terms = loss_terms(literal, base, batch, targets, reach=NOISE)
        loss = torch.stack([factor * terms[name] for name, factor in factors.items()]).sum()
        descend(literal, average, optimiser, loss, clip_norm=params.clip_norm, decay=params.ema)
        return loss.item()

    return step


def sample_of(case: Case, inr: WeightGenerator) -> Callable[[int], nn.Module]:
    """Algorithm 3 for one width, given K."""
    literal = LiteralInr(inr)

    def network(draws: int) -> nn.Module:
        random = torch.Generator().manual_seed(0)
        noises = [literal.fresh_draw(WIDTH, random) for _ in range(draws)]
        return sample(literal, case.base, WIDTH, NOISE, [EXACT, *noises[1:]])

    return network


def sweep_of(case: Case, inr: WeightGenerator) -> Callable[[int], Result]:
    """Algorithm 3 for one width, given K, and the score of the network it makes."""
    made, test = sample_of(case, inr), case.data.split("test")

    def width(draws: int) -> Result:
        network = made(draws)
        right, loss = 0, 0.0
        with torch.no_grad():
            for images, labels in zip(
                test.inputs.split(BATCH), test.targets.split(BATCH), strict=True
            ):
                logits = network(images)
                right += int((logits.argmax(dim=1) == labels).sum())
                loss += F.cross_entropy(logits, labels, reduction="sum").item()
        return right / len(test), loss / len(test)

    return width
