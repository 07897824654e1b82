"""A device that is not the CPU, on every machine: it finds each tensor that was left behind.

`pretend()` registers a backend of torch in Python. Its tensors say that they lie on the device
`pretend:0`; each holds its numbers in a tensor of the CPU, on which its operations run, so that
they give the CPU's numbers. It is stricter than any real device, and raises

- `MixedDevicesError` for every operation on tensors of both devices: single numbers and indices
  too, which other devices accept from the CPU and wait for;
- `DrawnOnDeviceError` for random numbers drawn on it: draws are the CPU's;
- `TypeError` for float64, which Apple's GPUs do not have.

Only copies cross over: `to`, `cpu`, `copy_`, `item`, `tolist`. The device is registered once and
for the whole process; what runs there without asking for it runs as before.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils import backend_registration

NAME = "pretend"
aten = torch.ops.aten
_CROSSES = {aten.copy_.default, aten._to_copy.default}
# Made by an operation of torch that resizes its output, which cannot be told of that.
_MADE_WHOLE = ("arange", "arange.start", "arange.start_step", "eye", "eye.m", "linspace")
# What autocast runs in the lower precision, in float32 and in the widest type of its tensors, as on
# the CPU.
_LOWERED = (
    *("mm", "bmm", "addmm", "addbmm", "baddbmm", "matmul", "linear"),
    *("conv1d", "conv2d", "conv3d", "scaled_dot_product_attention"),
)
_RAISED = (
    *("replication_pad1d", "replication_pad2d", "reflection_pad1d", "reflection_pad2d"),
    *("cross_entropy_loss", "nll_loss", "nll_loss2d", "kl_div", "binary_cross_entropy"),
    *("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "prod"),
)
_PROMOTED = ("cat", "stack")


class MixedDevicesError(RuntimeError):
    """An operation took tensors of the device and of the CPU."""


class DrawnOnDeviceError(RuntimeError):
    """Random numbers were asked of the device."""


class PretendTensor(Tensor):
    """A tensor on the device; `held` holds its numbers."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, held: Tensor) -> "PretendTensor":
        if held.dtype in (torch.float64, torch.complex128):
            raise TypeError(f"{held.dtype} is asked of a device that has none")
        with torch.inference_mode(False):  # a view may be asked for in that mode and used outside
            made: PretendTensor = torch.Tensor._make_wrapper_subclass(
                cls,
                held.size(),
                strides=held.stride(),
                storage_offset=held.storage_offset(),
                dtype=held.dtype,
                device=torch.device(NAME, 0),
            )
        made.held = held
        return made

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"PretendTensor({self.held})"

    def tolist(self) -> Any:  # torch has none for subclasses, which another device's are not
        return self.held.tolist()

    def __format__(self, spec: str) -> str:
        return format(self.held, spec)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _run(func, args, kwargs or {})


@functools.cache
def pretend() -> torch.device:
    """Register the device, once in a process.

    Returns:
        The device.
    """
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
    for name in _MADE_WHOLE:
        _implement(name, "PrivateUse1", functools.partial(_run_positional, _operation(name)))
    # Copies out of Python's sight, as of `torch.tensor(numbers, device=...)`.
    _implement("_copy_from", "PrivateUse1", _copy)
    casts = {_lowered: _LOWERED, _raised: _RAISED, _promoted: _PROMOTED}
    for cast, names in casts.items():
        for name in names:
            kernel = functools.partial(cast, _operation(name))
            _implement(name, "AutocastPrivateUse1", kernel)
    everything_else = torch.library.Library("_", "IMPL")
    everything_else.fallback(_run_positional, "PrivateUse1")
    everything_else.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    _libraries.append(everything_else)
    return torch.device(NAME, 0)


class _Module(backend_registration._DummyBackendModule):
    """What torch expects as `torch.pretend`."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]

    def get_rng_state(self, device: Any = None) -> Tensor:
        """Asked by `torch.random.fork_rng`, once the device is registered: it draws nothing."""
        return torch.empty(0, dtype=torch.uint8)

    def set_rng_state(self, state: Tensor, device: Any = None) -> None:
        """Likewise."""


_libraries: list[torch.library.Library] = []  # a registration lives as long as its library


def _implement(name: str, key: str, kernel: Callable[..., Any]) -> None:
    library = torch.library.Library("aten", "IMPL")
    library.impl(name, kernel, key)
    _libraries.append(library)


def _operation(name: str) -> Any:
    name, _, overload = name.partition(".")
    return getattr(getattr(aten, name), overload or "default")


def _run_positional(operation: Any, *args: Any, **kwargs: Any) -> Any:
    return _run(operation, args, kwargs)


def _run(operation: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an operation on what the tensors hold, and wrap what it makes."""
    tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    _check(operation, tensors)
    target = kwargs.get("device")
    stays = target is None or torch.device(target).type == NAME
    if target is not None and stays:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    args, kwargs = pytree.tree_map_only(PretendTensor, lambda t: t.held, (args, kwargs))
    result = operation(*args, **kwargs)
    ours = {id(t.held): t for t in tensors if isinstance(t, PretendTensor)}
    for tensor in ours.values():
        if tensor.held.size() != tensor.size() or tensor.held.stride() != tensor.stride():
            raise NotImplementedError(f"{operation} gives a tensor another shape in place")
    if not stays:
        return result
    # An operation in place gives its argument back, which may be the CPU's: `cpu.copy_(ours)`.
    back = ours | {id(t): t for t in tensors if not isinstance(t, PretendTensor)}
    return pytree.tree_map_only(
        Tensor, lambda t: back[id(t)] if id(t) in back else PretendTensor(t), result
    )


def _check(operation: Any, tensors: list[Tensor]) -> None:
    if torch.Tag.nondeterministic_seeded in operation.tags:
        raise DrawnOnDeviceError(f"{operation} draws on the device; draw on the CPU and move")
    left = [t for t in tensors if not isinstance(t, PretendTensor)]
    if left and operation not in _CROSSES:
        where = ", ".join(f"{t.device} {tuple(t.shape)}" for t in tensors)
        raise MixedDevicesError(f"{operation} takes tensors of several devices: {where}")


def _copy(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    copied: Tensor = _run(aten.copy_.default, (target, source, non_blocking), {})
    return copied


def _lowered(operation: Any, *args: Any, **kwargs: Any) -> Any:
    return _in_type(torch.get_autocast_dtype(NAME), operation, args, kwargs)


def _raised(operation: Any, *args: Any, **kwargs: Any) -> Any:
    return _in_type(torch.float32, operation, args, kwargs)


def _promoted(operation: Any, *args: Any, **kwargs: Any) -> Any:
    types = [leaf.dtype for leaf in pytree.tree_leaves(args) if _is_cast(leaf)]
    widest = functools.reduce(torch.promote_types, types, torch.get_autocast_dtype(NAME))
    return _in_type(widest, operation, args, kwargs)


def _in_type(dtype: torch.dtype, operation: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    key = torch._C._parse_dispatch_key("AutocastPrivateUse1")
    assert key is not None
    with torch._C._ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(key)):
        args, kwargs = pytree.tree_map(
            lambda leaf: leaf.to(dtype) if _is_cast(leaf) else leaf, (args, kwargs)
        )
        return operation(*args, **kwargs)


def _is_cast(leaf: Any) -> bool:
    return isinstance(leaf, PretendTensor) and leaf.is_floating_point()
