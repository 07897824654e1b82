"""Training of one INR: a warm start on resampled weights, then Algorithm 2 with distillation.

Each step draws widths and a batch, generates the weights, and steps on the INR through
`torch.func.functional_call`. The trainer owns all its state, so that it can be saved between any
two steps and continued to the same bytes.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from neumeta.evaluate import check_alive, evaluate
from neumeta.features import products_in
from neumeta.inr.average import update_average
from neumeta.inr.generator import WeightGenerator
from neumeta.inr.losses import (
    LossTerms,
    loss_weights,
    reconstruction_loss,
    regularisation_loss,
)
from neumeta.inr.problem import Problem
from neumeta.models.parts import apply_part
from neumeta.optimiser import make_optimiser
from neumeta.parallel import ALONE, Team
from neumeta.progress import progress
from neumeta.schedule import rate_at

HISTORY_COLUMNS = (
    "seed",
    "phase",
    "step",
    "loss",
    "task",
    "distillation",
    "reconstruction",
    "regularisation",
    "lr",
    "val_accuracy",
)


class Trainer:
    """The state of one run: INR, its average, optimiser, randomness, position and history."""

    def __init__(self, problem: Problem, seed: int, team: Team = ALONE) -> None:
        """Start a run from scratch.

        Args:
            problem: What to train on.
            seed: Seed of initial weights, widths, batches and noise.
            team: The processes that share the work.
        """
        team.check_batch(problem.params.task.batch_size)
        self.problem = problem
        self.seed = seed
        self.team = team
        self.random = torch.Generator().manual_seed(seed)
        settings = problem.params.model_dump(include={"coordinates", "encoding", "network"})
        self.inr = WeightGenerator(problem.family, settings, self.random)
        self.inr.calibrate(problem.base)
        self.average = copy.deepcopy(self.inr)
        self.phase: Literal["warm", "task"] = "warm"
        self.step = 0
        self.optimiser = self.new_optimiser()
        self.sums: dict[str, float] = {}
        self.history: list[dict[str, Any]] = []

    def run(self, save: Callable[["Trainer"], None] | None = None) -> WeightGenerator:
        """Train to the end.

        Args:
            save: Called every `save_every` steps with this trainer, between two steps.

        Returns:
            The averaged INR.

        Raises:
            CollapseError: If all probe widths score like the bypass floor in the second half.
        """
        while True:
            total = self._phase_params().steps
            label = f"INR seed {self.seed}, {self.phase} phase"
            for _ in progress(range(self.step, total), label, done=self.step):
                self._advance(total)
                if save is not None and self.step % self.problem.params.save_every == 0:
                    save(self)
            if self.phase == "task":
                return self.average
            self.phase, self.step = "task", 0
            self.optimiser = self.new_optimiser()
            self.average.load_state_dict(self.inr.state_dict())

    def new_optimiser(self) -> torch.optim.Optimizer:
        """Make an optimiser without memory of earlier steps.

        Returns:
            The optimiser of the params over the INR's parameters.
        """
        return make_optimiser(self.inr.parameters(), self.problem.params.optimiser)

    def _phase_params(self) -> Any:
        params = self.problem.params
        return params.warm_start if self.phase == "warm" else params.task

    def _advance(self, total: int) -> None:
        problem, phase = self.problem, self._phase_params()
        params = problem.params
        rate = rate_at(self.step, total, phase.lr, phase.schedule)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad()
        if self.phase == "warm":
            with products_in(params.precision):
                terms = self._warm_terms(self._draw_width(), params.warm_start.noise)
            self._backward(terms, {"reconstruction": 1.0})
        else:
            weights = loss_weights(params.losses, self.step / total)
            for _ in range(params.task.widths_per_step):
                exact = params.base_share > 0 and self._toss() < params.base_share
                width = problem.family.base_width if exact else self._draw_width()
                with products_in(params.precision):
                    terms = self._task_terms(width, 0.0 if exact else params.noise, weights)
                self._backward(terms, weights)
        self.team.average_gradients(self.inr.parameters())
        nn.utils.clip_grad_norm_(self.inr.parameters(), params.clip_norm)
        self.optimiser.step()
        self.step += 1
        if self.phase == "task":
            update_average(list(self.average.parameters()), list(self.inr.parameters()), params.ema)
        self._record(rate, total)

    def _draw_width(self) -> int:
        widths = self.problem.params.widths.values()
        return widths[int(torch.randint(len(widths), (), generator=self.random))]

    def _toss(self) -> float:
        return float(torch.rand((), generator=self.random))

    def _generate(self, width: int, noise: float) -> dict[str, Tensor]:
        return self.inr.weights(width, noise=noise, generator=self.random, first_exact=False)

    def _warm_terms(self, width: int, noise: float) -> LossTerms:
        weights = self._generate(width, noise)
        return LossTerms(reconstruction=reconstruction_loss(weights, self.problem.target(width)))

    def _task_terms(self, width: int, noise: float, factors: Mapping[str, float]) -> LossTerms:
        problem, params = self.problem, self.problem.params
        batch = torch.randint(len(problem.train), (params.task.batch_size,), generator=self.random)
        weights = self._generate(width, noise)
        rows = self.team.share(problem.train.rows(batch, self.random))
        inputs, targets = problem.train.take(rows)
        outputs = apply_part(
            problem.skeleton(width), problem.complete(weights), inputs, problem.train.part
        ).float()
        wanted = {name for name, factor in factors.items() if factor > 0}
        task = problem.task
        return LossTerms(
            task=task.loss(outputs, targets) if "task" in wanted else None,
            distillation=(
                task.distillation(outputs, problem.teacher_outputs[rows], params.losses.temperature)
                if "distillation" in wanted
                else None
            ),
            reconstruction=(
                reconstruction_loss(weights, problem.target(width))
                if "reconstruction" in wanted
                else None
            ),
            regularisation=regularisation_loss(weights) if "regularisation" in wanted else None,
        )

    def _backward(self, terms: LossTerms, factors: Mapping[str, float]) -> None:
        share = 1 if self.phase == "warm" else self.problem.params.task.widths_per_step
        loss = terms.weighted(factors) / share
        loss.backward()
        for name, value in {"loss": loss * share, **terms.named()}.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.item() / share

    def _record(self, rate: float, total: int) -> None:
        params = self.problem.params
        self.sums["steps"] = self.sums.get("steps", 0.0) + 1
        validating = self.phase == "task" and (
            self.step % params.validate_every == 0 or self.step == total
        )
        if not (self.step % params.log_every == 0 or self.step == total or validating):
            return
        steps = self.sums.pop("steps")
        means = self.team.mean({name: value / steps for name, value in self.sums.items()})
        self.sums = {}
        row: dict[str, Any] = {"seed": self.seed, "phase": self.phase, "step": self.step}
        row |= means | {"lr": rate}
        if validating:
            row["val_accuracy"] = self._validate(strict=2 * self.step >= total)
        self.history.append({name: row.get(name) for name in HISTORY_COLUMNS})

    def _validate(self, strict: bool) -> float:
        """Mean accuracy of the averaged INR, noise-free, over the probe widths."""
        problem = self.problem
        accuracies = {}
        for width in problem.params.probe_widths:
            with torch.no_grad():
                weights = problem.complete(self.average.weights(width))
            score = evaluate(
                problem.skeleton(width),
                weights,
                problem.val,
                problem.task,
                part=problem.train.part,
            )
            accuracies[width] = score.accuracy
        if strict:
            where = f"train seed {self.seed}, task step {self.step}"
            check_alive(accuracies, problem.bypass_floor, len(problem.val), where)
        return sum(accuracies.values()) / len(accuracies)
