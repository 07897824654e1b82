"""The device that finds tensors left on the CPU: it computes as the CPU, and refuses mixtures."""

import copy
import operator
import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.other_device import DrawnOnDeviceError, MixedDevicesError, PretendTensor, pretend

# torch lays its autograd engine out once a process: a backend registered after that gets no share.
ALONE = "NEUMETA_TEST_OTHER_DEVICE"
pytestmark = pytest.mark.skipif(
    ALONE not in os.environ, reason="runs in a process of its own, by test_other_device_alone.py"
)

CPU = torch.device("cpu")


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def same(found: Tensor, wanted: Tensor) -> None:
    """Assert that a result lies on the device and holds the numbers of the CPU."""
    assert isinstance(found, PretendTensor) and found.device == pretend()
    assert (found.shape, found.dtype, found.stride()) == (
        wanted.shape,
        wanted.dtype,
        wanted.stride(),
    )
    assert torch.equal(found.cpu(), wanted)


OPERATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "add": lambda x: x + x,
    "numbers": lambda x: 2.0 * x - 1,
    "matmul": lambda x: x @ x.mT,
    "in place": lambda x: x.clone().mul_(2).sub_(1),
    "in place on a view": lambda x: _write(x.clone()),
    "index": lambda x: x[torch.tensor([2, 0], device=x.device), 1:],
    "mask": lambda x: x[x > 0],
    "cat": lambda x: torch.cat([x, x.flip(0)]),
    "reshape of a view": lambda x: x.mT.reshape(-1),
    "split": lambda x: torch.stack([part.sum() for part in x.split(2)]),
    "new": lambda x: x.new_tensor([1, 2]) + torch.arange(2, device=x.device),
    "empty then filled": lambda x: torch.empty(3, device=x.device).fill_(x[0, 0].item()),
    "conv2d": lambda x: F.conv2d(x.view(1, 1, 4, 6), x[:3, :3].view(1, 1, 3, 3), padding=1),
    "channels last": lambda x: x.view(1, 2, 3, 4).contiguous(memory_format=torch.channels_last),
    "cross entropy": lambda x: F.cross_entropy(x, torch.arange(4, device=x.device)),
    "lerp": lambda x: _average(x.clone(), x + 1),
    "sort": lambda x: x.sort().values,
    "bfloat16": lambda x: x.bfloat16() @ x.bfloat16().mT,
    "inference": lambda x: torch.inference_mode()(lambda: x.relu() @ x.mT)().clone(),
    "a view in inference": lambda x: torch.inference_mode()(lambda: x.split(2)[1])() + 1,
}


def _write(x: Tensor) -> Tensor:
    page = x[1]
    page.add_(10)
    x[:, -1] = 0
    return x


def _average(x: Tensor, y: Tensor) -> Tensor:
    torch._foreach_lerp_([x], [y], 0.25)
    return x


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_give_the_numbers_of_the_cpu(name: str) -> None:
    values = numbers(4, 6)
    same(OPERATIONS[name](values.to(pretend())), OPERATIONS[name](values))


class Small(nn.Module):
    """Convolution, buffer, normalisation and a linear layer."""

    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.linear = nn.Linear(4, 3)
        self.register_buffer("shift", torch.tensor(0.5))

    def forward(self, images: Tensor) -> Tensor:
        hidden = F.relu(self.norm(self.conv(images))) + self.shift
        result: Tensor = self.linear(hidden.mean((2, 3)))
        return result


def small() -> Small:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Small()


def losses(
    device: torch.device, make: Callable[[Any], torch.optim.Optimizer], cast: bool
) -> tuple[list[float], dict[str, Tensor]]:
    """Train generated weights of a network for some steps, as an INR does."""
    network = small().to(device)
    factors = nn.Parameter(torch.ones(3, device=device))
    optimiser = make([*network.parameters(), factors])
    images, targets = numbers(8, 1, 5, 5).to(device), (torch.arange(8) % 3).to(device)
    found = []
    for step in range(4):
        for group in optimiser.param_groups:
            group["lr"] = 0.1 / (step + 1)
        optimiser.zero_grad()
        weights = {name: value * factors[0] for name, value in network.named_parameters()}
        with torch.autocast(device.type, torch.bfloat16, enabled=cast):
            outputs = torch.func.functional_call(network, weights, (images,)).float()
        loss = F.cross_entropy(outputs, targets) + factors.square().sum()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        found.append(loss.item())
    return found, {name: value.detach().cpu() for name, value in network.state_dict().items()}


@pytest.mark.parametrize("cast", [False, True])
@pytest.mark.parametrize("name", ["AdamW", "SGD"])
def test_training_gives_the_numbers_of_the_cpu(name: str, cast: bool) -> None:
    def make(parameters: Any) -> torch.optim.Optimizer:
        made: torch.optim.Optimizer = getattr(torch.optim, name)(parameters, weight_decay=0.1)
        return made

    ours, wanted = losses(pretend(), make, cast), losses(CPU, make, cast)
    assert ours[0] == wanted[0] and wanted[0][-1] < wanted[0][0]
    for name, value in wanted[1].items():
        assert torch.equal(ours[1][name], value), name


def test_autocast_changes_the_numbers() -> None:
    def make(parameters: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters)

    assert losses(pretend(), make, True)[0] != losses(pretend(), make, False)[0]


AUTOCAST: dict[str, Callable[[Tensor], Tensor]] = {
    "matmul": lambda x: x @ x.mT,
    "linear": lambda x: F.linear(x, x, x[:, 0]),
    "add": lambda x: (x @ x.mT) + 1,
    "stack": lambda x: torch.stack([x @ x.mT, x[:, :4]]),
    "loss": lambda x: F.cross_entropy(x @ x.mT, torch.arange(4, device=x.device)),
    "padding": lambda x: F.pad((x @ x.mT)[None, None], (1, 1, 1, 1), mode="replicate"),
}


@pytest.mark.parametrize("name", AUTOCAST)
def test_autocast_chooses_the_types_of_the_cpu(name: str) -> None:
    values = numbers(4, 6)
    with torch.autocast("cpu", torch.bfloat16):
        wanted = AUTOCAST[name](values)
    with torch.autocast(pretend().type, torch.bfloat16):
        same(AUTOCAST[name](values.to(pretend())), wanted)


def test_modules_are_copied_saved_and_restored() -> None:
    network = small().to(pretend())
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.linear.bias.add_(1)
    assert isinstance(other.linear.bias, nn.Parameter) and other.linear.bias.requires_grad
    same(other.linear.bias.detach(), small().linear.bias.detach() + 1)
    same(network.linear.bias.detach(), small().linear.bias.detach())
    network.load_state_dict({name: value.cpu() for name, value in other.state_dict().items()})
    same(network.linear.bias.detach(), small().linear.bias.detach() + 1)


def test_gradients_come_back_to_the_cpu() -> None:
    leaf = torch.ones(3, requires_grad=True)
    (leaf.to(pretend()) * 2).sum().backward()
    assert leaf.grad is not None and leaf.grad.device == CPU and leaf.grad.tolist() == [2, 2, 2]


def test_values_are_read() -> None:
    values = torch.tensor([1.0, 2.0], device=pretend())
    assert (values.tolist(), values[1].item(), int(values[0])) == ([1.0, 2.0], 2.0, 1)
    assert f"{values[1]:.1f}" == "2.0"
    target = torch.zeros(2)
    assert target.copy_(values) is target and target.tolist() == [1.0, 2.0]


MIXTURES: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "add": operator.add,
    "a single number": lambda ours, left: ours * left[0, 0],
    "matmul": operator.matmul,
    "index": lambda ours, left: ours[torch.tensor([0])],
    "indexed": lambda ours, left: left[torch.tensor([0], device=ours.device)],
    "written": lambda ours, left: ours.index_put_((ours > 0,), torch.tensor(0.0)),
    "cat": lambda ours, left: torch.cat([ours, left]),
    "conv2d": lambda ours, left: F.conv2d(ours.view(1, 1, 2, 2), left.view(1, 1, 2, 2)),
    "loss": lambda ours, left: F.cross_entropy(ours, torch.tensor([0, 1])),
    "module": lambda ours, left: nn.Linear(2, 2)(ours),
    "functional call": lambda ours, left: torch.func.functional_call(
        nn.Linear(2, 2), {"weight": ours, "bias": left[0]}, (ours,)
    ),
    "out": lambda ours, left: torch.add(ours, ours, out=left),
    "lerp": lambda ours, left: torch._foreach_lerp_([ours], [left], 0.5),
    "where": lambda ours, left: torch.where(ours > 0, ours, left),
}


@pytest.mark.parametrize("cast", [False, True])
@pytest.mark.parametrize("name", MIXTURES)
def test_a_mixture_of_devices_raises(name: str, cast: bool) -> None:
    values = torch.ones(2, 2)
    MIXTURES[name](values.clone(), values.clone())
    with (
        torch.autocast(pretend().type, torch.bfloat16, enabled=cast),
        pytest.raises(MixedDevicesError),
    ):
        MIXTURES[name](values.to(pretend()), values)


def test_a_mixture_in_the_backward_pass_raises() -> None:
    class Mixing(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 2

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            return gradient * torch.ones(3)

    values = torch.ones(3, device=pretend(), requires_grad=True)
    with pytest.raises(MixedDevicesError):
        Mixing.apply(values).sum().backward()


@pytest.mark.parametrize(
    "draw",
    [
        lambda device: torch.rand(2, device=device),
        lambda device: torch.rand(2, device=device, generator=torch.Generator()),
        lambda device: torch.randint(3, (2,), device=device),
        lambda device: torch.randperm(3, device=device),
        lambda device: torch.empty(2, device=device).uniform_(-1, 1),
        lambda device: torch.ones(2, device=device).multinomial(1),
        lambda device: torch.rand_like(torch.ones(2, device=device)),
        lambda device: F.dropout(torch.ones(2, device=device)),
        lambda device: nn.Linear(2, 2, device=device),
    ],
)
def test_draws_on_the_device_raise(draw: Callable[[torch.device], Any]) -> None:
    with pytest.raises(DrawnOnDeviceError):
        draw(pretend())


@pytest.mark.parametrize(
    "make",
    [
        lambda device: torch.ones(2, dtype=torch.float64).to(device),
        lambda device: torch.ones(2, device=device).double(),
        lambda device: torch.zeros(2, dtype=torch.float64, device=device),
    ],
)
def test_the_device_has_no_float64(make: Callable[[torch.device], Any]) -> None:
    with pytest.raises(TypeError, match="float64 is asked of a device that has none"):
        make(pretend())


def test_numpy_reads_the_cpu_alone() -> None:
    with pytest.raises(RuntimeError, match="numpy"):
        torch.ones(2, device=pretend()).numpy()


def test_a_new_shape_in_place_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="another shape in place"):
        torch.ones(2, device=pretend()).unsqueeze_(0)
