"""Muon for stacks of matrices, such as the hidden layers of an INR: they take orthogonal steps.

An INR has to fit high frequencies, whose gradients are small in a few directions of every layer;
a step that weighs all directions alike reaches them in far fewer steps. Source: Jordan et al.
2024, "Muon: an optimizer for hidden layers in neural networks".
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from neumeta.training.optimiser import make_optimiser
from neumeta.training.params import InrOptimiserParams


class StackedMuon(torch.optim.Muon):
    """torch's Muon, which takes single matrices, for stacks of them; each takes its own step."""

    def __init__(self, stacks: Iterable[nn.Parameter], **settings: Any) -> None:
        """Take every matrix of the stacks as a parameter that shares its storage.

        Args:
            stacks: Shape (networks, fan_in, fan_out) each; trained in place.
            **settings: As of `torch.optim.Muon`.
        """
        self.stacks = list(stacks)
        self.pages = [[nn.Parameter(page) for page in stack.data] for stack in self.stacks]
        super().__init__([page for pages in self.pages for page in pages], **settings)
        self.register_step_pre_hook(self._share_gradients)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of the stacks.

        Args:
            set_to_none: As of torch's optimisers; here always done.
        """
        for stack in self.stacks:
            stack.grad = None
        super().zero_grad(set_to_none)

    def _share_gradients(self, *_: object) -> None:
        """Hand each matrix its part of the gradient; matrices of a stack without one stay."""
        for stack, pages in zip(self.stacks, self.pages, strict=True):
            for number, page in enumerate(pages):
                page.grad = None if stack.grad is None else stack.grad[number]


def inr_optimisers(
    parameters: Iterable[nn.Parameter],
    stacks: Iterable[nn.Parameter],
    params: InrOptimiserParams,
) -> tuple[torch.optim.Optimizer, ...]:
    """Make optimisers without memory of earlier steps; their rate is set at every step.

    Args:
        parameters: All of the INR, in their order there.
        stacks: Those of them that are stacks of the hidden layers' matrices.
        params: Names them.

    Returns:
        One for everything; or with `muon_momentum` Muon for the matrices of the hidden layers
        (the first one too, whose inputs are dense here), and that one for the output layer, the
        biases and the factors of the branches.
    """
    if params.muon_momentum is None:
        return (make_optimiser(parameters, params),)
    hidden = list(stacks)
    stacked = {id(stack) for stack in hidden}
    others = [value for value in parameters if id(value) not in stacked]
    muon = StackedMuon(
        hidden,
        momentum=params.muon_momentum,
        weight_decay=params.weight_decay,
        adjust_lr_fn="match_rms_adamw",
    )
    return make_optimiser(others, params), muon
