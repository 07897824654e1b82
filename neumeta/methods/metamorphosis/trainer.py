"""Training of one INR: a warm start on resampled weights, then Algorithm 2 with distillation.

Each step draws networks of the family and a batch, generates the weights, and steps on the INR
through `torch.func.functional_call`. The trainer owns all its state, so that it can be saved
between any two steps and continued to the same bytes.
"""

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from neumeta.core.device import autocast
from neumeta.core.processes import ALONE, ProcessGroup
from neumeta.core.progress import progress
from neumeta.measure.controls import check_alive, floors, least_alive
from neumeta.methods.metamorphosis.columns import HISTORY_COLUMNS
from neumeta.methods.metamorphosis.generator import WeightGenerator
from neumeta.methods.metamorphosis.losses import (
    LossTerms,
    loss_weights,
    reconstruction_loss,
    regularisation_loss,
)
from neumeta.methods.metamorphosis.points import Configuration, draw_task, draw_warm
from neumeta.methods.metamorphosis.problem import Problem
from neumeta.models.axes import Point
from neumeta.models.parts import apply_part
from neumeta.training.average import update_average
from neumeta.training.muon import inr_optimisers
from neumeta.training.schedule import rate_at


class Trainer:
    """The state of one run: INR, its average, optimisers, randomness, position and history."""

    def __init__(self, problem: Problem, seed: int, processes: ProcessGroup = ALONE) -> None:
        """Start a run from scratch.

        Args:
            problem: What to train on; its device trains.
            seed: Seed of initial weights, networks, batches and noise.
            processes: The processes that share the work.
        """
        processes.check_batch(problem.params.task.batch_size)
        self.problem = problem
        self.seed = seed
        self.processes = processes
        self.random = torch.Generator().manual_seed(seed)
        settings = problem.params.model_dump(include={"coordinates", "encoding", "network"})
        self.inr = WeightGenerator(problem.family, settings, self.random).to(problem.device)
        self.inr.calibrate(problem.base)
        self.average = copy.deepcopy(self.inr)
        self.phase: Literal["warm", "task"] = "warm"
        self.step = 0
        self.optimisers = self.new_optimisers()
        self.sums: dict[str, float] = {}
        self.history: list[dict[str, Any]] = []

    def run(self, save: Callable[["Trainer"], None] | None = None) -> WeightGenerator:
        """Train to the end.

        Args:
            save: Called every `save_every` steps with this trainer, between two steps.

        Returns:
            The averaged INR.

        Raises:
            CollapseError: If all probes score like the floor in the second half.
        """
        params = self.problem.params
        done = self.step + (params.warm_start.steps if self.phase == "task" else 0)
        steps = range(done, params.warm_start.steps + params.task.steps)
        for _ in progress(steps, f"INR seed {self.seed}", done=done):
            if self.phase == "warm" and self.step == params.warm_start.steps:
                self._begin_task()
            self._advance(self._phase_params().steps)
            if save is not None and self.step % params.save_every == 0:
                save(self)
        if self.phase == "warm":  # there are no steps of the task
            self._begin_task()
        return self.average

    def new_optimisers(self) -> tuple[torch.optim.Optimizer, ...]:
        """Make optimisers without memory of earlier steps.

        Returns:
            Those of the params, which share out the INR's parameters.
        """
        network = self.inr.network
        hidden = network.weights[:-1]  # the last one is the output layer
        return inr_optimisers(network.parameters(), hidden, self.problem.params.optimiser)

    def _begin_task(self) -> None:
        self.phase, self.step = "task", 0
        self.optimisers = self.new_optimisers()
        self.average.load_state_dict(self.inr.state_dict())

    def _phase_params(self) -> Any:
        params = self.problem.params
        return params.warm_start if self.phase == "warm" else params.task

    def _advance(self, total: int) -> None:
        problem, phase = self.problem, self._phase_params()
        params = problem.params
        rate = rate_at(self.step, total, phase.lr, phase.schedule)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.zero_grad()
        if self.phase == "warm":
            drawn = draw_warm(problem.family, params, self.random)
            with autocast(problem.device, params.precision):
                terms = self._warm_terms(drawn)
            self._backward(terms, {"reconstruction": 1.0})
        else:
            weights = loss_weights(params.losses, self.step / total)
            for _ in range(params.task.widths_per_step):
                drawn = draw_task(problem.family, params, self.random)
                with autocast(problem.device, params.precision):
                    terms = self._task_terms(drawn, weights)
                self._backward(terms, weights)
        self.processes.average_gradients(self.inr.parameters())
        nn.utils.clip_grad_norm_(self.inr.parameters(), params.clip_norm)
        for optimiser in self.optimisers:
            optimiser.step()
        self.step += 1
        if self.phase == "task":
            update_average(list(self.average.parameters()), list(self.inr.parameters()), params.ema)
        self._record(rate, total)

    def _generate(self, drawn: Configuration) -> dict[str, Tensor]:
        return self.inr.weights(
            drawn.at,
            noise=drawn.noise,
            generator=self.random,
            first_exact=False,
            coarseness=drawn.coarseness,
        )

    def _warm_terms(self, drawn: Configuration) -> LossTerms:
        weights = self._generate(drawn)
        return LossTerms(reconstruction=reconstruction_loss(weights, self.problem.target(drawn.at)))

    def _task_terms(self, drawn: Configuration, factors: Mapping[str, float]) -> LossTerms:
        problem, params = self.problem, self.problem.params
        index = torch.randint(len(problem.train), (params.task.batch_size,), generator=self.random)
        weights = self._generate(drawn)
        batch = problem.train.take(self.processes.share(problem.train.rows(index, self.random)))
        network = problem.val.skeletons.at(drawn.at)
        outputs = apply_part(
            network, problem.complete(weights), batch.inputs, problem.train.part
        ).float()
        wanted = {name for name, factor in factors.items() if factor > 0}
        task = problem.task
        return LossTerms(
            task=task.loss(outputs, batch) if "task" in wanted else None,
            distillation=(
                task.distance(
                    outputs, problem.train.teacher_outputs[batch.rows], params.losses.temperature
                )
                if "distillation" in wanted
                else None
            ),
            reconstruction=(
                reconstruction_loss(weights, problem.target(drawn.at))
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
        means = self.processes.mean({name: value / steps for name, value in self.sums.items()})
        self.sums = {}
        row: dict[str, Any] = {"seed": self.seed, "phase": self.phase, "step": self.step}
        row |= means | {"lr": rate}
        if validating:
            row["val_accuracy"] = self._validate(strict=2 * self.step >= total)
        self.history.append({name: row.get(name) for name in HISTORY_COLUMNS})

    def _validate(self, strict: bool) -> float:
        """Mean score of the averaged INR, noise-free, over the probes."""
        problem, scores = self.problem, {}
        for at in problem.probes:
            scores[at] = problem.val.deciding(at, self._averaged(at))
        if strict:
            largest = max(problem.probes)
            score = partial(problem.val.deciding, largest)
            floor = max(floors(self._averaged(largest), problem.family.generated, score))
            where = f"train seed {self.seed}, task step {self.step}"
            if problem.base_score <= least_alive(floor, len(problem.val)):
                return sum(scores.values()) / len(scores)  # the base does no better than the dead
            check_alive(scores, floor, len(problem.val), where)
        return sum(scores.values()) / len(scores)

    def _averaged(self, at: Point) -> dict[str, Tensor]:
        with torch.no_grad():
            return self.problem.complete(self.average.weights(at))
