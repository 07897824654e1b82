"""Muon on stacks of matrices."""

from typing import Any

import torch
from torch import nn

from neumeta.training.muon import StackedMuon

SETTINGS: dict[str, Any] = {
    "lr": 0.02,
    "momentum": 0.9,
    "weight_decay": 0.1,
    "adjust_lr_fn": "match_rms_adamw",
}


def test_a_stack_steps_as_its_matrices_would_one_by_one() -> None:
    random = torch.Generator().manual_seed(0)
    stack = nn.Parameter(torch.randn((3, 6, 4), generator=random))
    alone = [nn.Parameter(page.clone()) for page in stack.data]
    ours = StackedMuon([stack], **SETTINGS)
    theirs = torch.optim.Muon(alone, **SETTINGS)
    start = stack.detach().clone()
    for _ in range(3):
        gradient = torch.randn(stack.shape, generator=random)
        ours.zero_grad()
        assert stack.grad is None
        stack.grad = gradient
        for page, part in zip(alone, gradient, strict=True):
            page.grad = part.clone()
        ours.step()
        theirs.step()
    assert torch.equal(stack, torch.stack(list(alone)))
    assert not torch.allclose(stack, start)


def test_a_stack_without_gradient_stays() -> None:
    stack = nn.Parameter(torch.ones((2, 3, 3)))
    ours = StackedMuon([stack], **SETTINGS)
    stack.grad = torch.ones_like(stack)
    ours.step()
    moved = stack.detach().clone()
    stack.grad = None
    ours.step()
    assert torch.equal(stack, moved)
