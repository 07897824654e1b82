"""Functions in other steps than torch's own: those that write to parts of a tensor unseen."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def rewritten(
    function: Any, args: Sequence[Any], kwargs: dict[str, Any]
) -> Callable[[], Any] | None:
    """Find other steps for a call.

    Args:
        function: Of torch.
        args: Its arguments.
        kwargs: Likewise.

    Returns:
        What does the same; None where torch's own steps can be recorded.
    """
    if function is functional.pad and kwargs.get("mode") == "circular":
        return lambda: pad_circular(*args, **{k: v for k, v in kwargs.items() if k == "pad"})
    if function is torch._VF._pad_packed_sequence:
        return lambda: pad_packed(*args, **kwargs)
    if function is Tensor.tolist:
        return lambda: listed(*args)
    return None


def listed(tensor: Tensor) -> Any:
    """Read the numbers of a tensor one by one.

    Args:
        tensor: Any.

    Returns:
        Nested lists, or a number for a tensor without dimensions.
    """
    return [listed(part) for part in tensor.unbind()] if tensor.ndim else tensor.item()


def pad_circular(input: Tensor, pad: Sequence[int]) -> Tensor:
    """Pad an image by what is at its other side; torch itself writes into an empty tensor.

    Args:
        input: Any number of dimensions.
        pad: Places before and after, the last dimension first.

    Returns:
        The padded image.
    """
    image = input
    for number in range(len(pad) // 2):
        dim, (before, after) = image.ndim - 1 - number, pad[2 * number : 2 * number + 2]
        size = image.shape[dim]
        inner = image.narrow(dim, max(-before, 0), size + min(before, 0) + min(after, 0))
        left = inner.shape[dim]
        ends = [inner.narrow(dim, left - before, before)] if before > 0 else []
        starts = [inner.narrow(dim, 0, after)] if after > 0 else []
        image = torch.cat([*ends, inner, *starts], dim=dim)
    return image


def pad_packed(
    data: Tensor, batch_sizes: Tensor, batch_first: bool, padding_value: float, total_length: int
) -> tuple[Tensor, Tensor]:
    """Lay packed sequences out with padding; torch itself writes into a full tensor.

    Args:
        data: Steps of all sequences, the first steps of all of them first, shape (steps, ...).
        batch_sizes: How many sequences have each step, falling.
        batch_first: Whether the result has shape (sequences, time, ...) and not the other way.
        padding_value: After the end of a sequence.
        total_length: Length to pad to at least.

    Returns:
        The sequences, and their lengths.
    """
    counts = listed(batch_sizes)
    whole = [
        torch.cat([part, part.new_full((counts[0] - count, *part.shape[1:]), padding_value)])
        for part, count in zip(data.split(counts), counts, strict=True)
    ]
    missing = max(total_length - len(counts), 0)
    whole += [torch.full_like(whole[0], padding_value)] * missing
    lengths = [sum(count > place for count in counts) for place in range(counts[0])]
    return torch.stack(whole, dim=1 if batch_first else 0), torch.tensor(lengths)
