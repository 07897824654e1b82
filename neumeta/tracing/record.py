"""Recording a network as a graph of elementary operations on an example.

First without computing anything. Where the network's own code asks for a number on its way, as a
branch on values does, the recording is repeated on the real numbers: it is then the recording of
what the network does where the answers are as on the example, and the places are reported.
"""

import os
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import Tensor
from torch._dispatch.python import enable_python_dispatcher
from torch._subclasses.fake_tensor import FakeTensorMode
from torch._subclasses.functional_tensor import dispatch_functionalize
from torch.func import functionalize
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode

from neumeta.core.errors import UserError
from neumeta.tracing.call import Call
from neumeta.tracing.draws import kind_of_draw, same_draws
from neumeta.tracing.nested import storage_of
from neumeta.tracing.rewrite import rewritten
from neumeta.tracing.rules import decompositions

_ASKING = {
    *(Tensor.item, Tensor.tolist, Tensor.numpy, Tensor.__bool__, Tensor.__int__, Tensor.__float__),
    *(Tensor.__index__, Tensor.__complex__, Tensor.__array__, Tensor.is_nonzero),
    *(torch.equal, Tensor.equal, torch.allclose, Tensor.allclose, torch.is_nonzero),
}
_OURS = f"{Path(__file__).parents[1]}{os.sep}"
_TORCHS = f"{Path(torch.__file__).parent}{os.sep}"  # not torchvision's
_PYTHONS = sysconfig.get_path("stdlib")


@dataclass(frozen=True)
class Recording:
    """What a network does with an example.

    Attributes:
        graph: Its placeholders are the tensors of the network by their order, then the inputs.
        outputs: How many of the results are outputs of the network; the others are tensors that
            its code asked for a number.
        branches: Places in the code of the network that asked for a number that depends on weights,
            inputs or random numbers of torch.
        seen_elsewhere: Storages of parameters and buffers that are read in another way than as
            these.
        draws: Whether random numbers are drawn.
    """

    graph: GraphModule
    outputs: int
    branches: tuple[str, ...]
    seen_elsewhere: frozenset[int]
    draws: bool

    @property
    def results(self) -> list[Any]:
        """What the graph returns.

        Returns:
            Nodes, the outputs of the network first.
        """
        (output,) = self.graph.graph.find_nodes(op="output")
        found = output.args[0]
        return list(found) if isinstance(found, list | tuple) else [found]


def record(call: Call) -> tuple[Recording, Call, list[Tensor]]:
    """Run a network as it is, then record it.

    Args:
        call: Of the network.

    Returns:
        The recording, the call with what the run told of it, and the outputs of the run.

    Raises:
        UserError: If the network cannot be run on the example, returns no tensor, or asks for
            numbers in a way that cannot be recorded.
    """
    try:
        call, outputs = call.tried()
    except Exception as error:  # whatever the network's own code raises
        raise _unrecordable(error, None) from error
    if not outputs:
        raise UserError(
            "the network returns no tensor on this example: nothing tells what it computes"
        )
    errors: list[Exception] = []
    for real in (False, True):
        for functional in (functionalize, dispatch_functionalize):
            try:
                return _recorded(call, functional, real=real), call, outputs
            except Exception as error:  # most often: numbers are asked for where there are none
                errors.append(error)
    places = [place for error in errors if (place := place_in(error.__traceback__))]
    raise _unrecordable(errors[2], places[0] if places else None) from errors[0]


def _recorded(call: Call, functional: Callable[..., Any], *, real: bool) -> Recording:
    """Record in one of torch's two ways to undo writing in place; either has its own limits."""
    fakes = FakeTensorMode(allow_non_fake_inputs=True)

    def own(value: Tensor) -> Tensor:
        return value.clone() if real else fakes.from_tensor(value)

    state = {name: own(value) for name, value in call.tensors.own.items()}
    inputs = [own(value) for value in call.inputs]
    network, watch, count = call.fresh(), _Watch(), 0

    def run(tensors: dict[str, Tensor], *given: Tensor) -> list[Tensor]:
        nonlocal count
        with watch:
            outputs = call.run(network, tensors, given)
        count = len(outputs)
        return [*outputs, *watch.asked]

    devices = [value.device for value in call.tensors.own.values()]
    with ExitStack() as modes:
        modes.enter_context(same_draws(devices))
        modes.enter_context(torch.no_grad())
        modes.enter_context(_single_steps())
        modes.enter_context(nullcontext() if real else fakes)
        modes.enter_context(enable_python_dispatcher())
        graph = make_fx(
            functional(run),
            decomposition_table=decompositions(),
            tracing_mode="real",
            _error_on_data_dependent_ops=not real,
        )(state, *inputs)
    return _described(graph, count, watch.places, call.storages)


@contextmanager
def _single_steps() -> Iterator[None]:
    """Without the kernels of oneDNN, which run a whole recurrent layer as one operation."""
    kernels: Any = torch.backends.mkldnn
    before = kernels.enabled
    kernels.enabled = False
    try:
        yield
    finally:
        kernels.enabled = before


def _described(
    graph: GraphModule, outputs: int, places: Sequence[str], storages: Mapping[int, int]
) -> Recording:
    live: set[Node] = set()
    elsewhere: set[int] = set()
    draws = False
    for node in graph.graph.nodes:
        drawn = kind_of_draw(node.target) is not None
        if drawn or node.op == "placeholder" or not live.isdisjoint(node.all_input_nodes):
            live.add(node)
        if node.op == "get_attr":
            constant = getattr(graph, str(node.target))
            if isinstance(constant, Tensor) and storage_of(constant) in storages:
                elsewhere.add(storages[storage_of(constant)])  # type: ignore[index]
        draws = draws or drawn
    recording = Recording(graph, outputs, (), frozenset(elsewhere), draws)
    asked = recording.results[outputs:]
    branches = [p for p, n in zip(places, asked, strict=True) if isinstance(n, Node) and n in live]
    return Recording(
        graph, outputs, tuple(dict.fromkeys(branches)), recording.seen_elsewhere, draws
    )


class _Watch(TorchFunctionMode):
    """Notes tensors that Python code asks for a number, and where.

    Does in other steps what cannot be recorded as torch does it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Tensor] = []
        self.places: list[str] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in _ASKING:
            place = _place_of(sys._getframe(1))
            for value in args[:2]:
                if isinstance(value, Tensor):
                    self.asked.append(value)
                    self.places.append(place)
        kwargs = kwargs or {}
        if other := rewritten(func, args, kwargs):
            return other()
        return func(*args, **kwargs)


def _is_users(file: str) -> bool:
    if file.startswith((_OURS, _TORCHS, "<frozen", "<@beartype")) or "jaxtyping" in file:
        return False  # the latter two wrap our own functions where their types are checked
    return "site-packages" in file or not file.startswith(_PYTHONS)


def _place_of(frame: FrameType | None) -> str:
    while frame is not None and not _is_users(frame.f_code.co_filename):
        frame = frame.f_back
    return _worded(frame.f_code.co_filename, frame.f_lineno) if frame else "an unknown place"


def place_in(trace: TracebackType | None) -> str | None:
    """Find where the code of a network fails.

    Args:
        trace: Of an error.

    Returns:
        The last place in it that is neither torch's nor ours.
    """
    found = None
    while trace is not None:
        if _is_users(trace.tb_frame.f_code.co_filename):
            found = _worded(trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    return found


def _worded(file: str, line: int) -> str:
    return f"{Path(file).parent.name}/{Path(file).name}:{line}"


def _unrecordable(error: BaseException, place: str | None) -> UserError:
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    where = f", at {place}" if place else ""
    return UserError(f"the network cannot be recorded on this example{where}: {reason}")
