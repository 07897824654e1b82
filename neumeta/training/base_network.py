"""The base network: trained here, or read from a file or address with its sha256 checked."""

import hashlib
import http.client
import os
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor, nn

from neumeta.core.errors import UserError
from neumeta.data.dataset import Dataset
from neumeta.models.family import Family
from neumeta.models.fitting import named_by_order, put_weights
from neumeta.models.parameters import parameters_of
from neumeta.models.traced.norms import without_statistics
from neumeta.models.weights_file import parse_weights
from neumeta.tasks.registry import task_of
from neumeta.training.fit import EpochRecord, fit
from neumeta.training.params import FetchParams

CHECKPOINT_ROOT_VARIABLE = "NEUMETA_CHECKPOINT_ROOT"
DEFAULT_CHECKPOINT_ROOT = "data/checkpoints"
DOWNLOAD_TIMEOUT_SECONDS = 60.0


def train_base(
    family: Family,
    dataset: Dataset,
    params: FetchParams,
    validate: Callable[[nn.Module], float],
) -> tuple[dict[str, Tensor], list[EpochRecord]]:
    """Train the base network here.

    Args:
        family: Its base width is built.
        dataset: Its train split is used; the network is trained where it lies.
        params: The section `fetch` with a recipe.
        validate: Scores the network after every epoch, for the curve only; see `fit`.

    Returns:
        The parameters with BatchNorm folded, and the loss curve.
    """
    assert params.recipe is not None
    network = family.initialised(family.base, params.seed).to(dataset.device)
    _, curve = fit(
        network,
        dataset.split("train"),
        task_of(dataset),
        params.recipe,
        generator=torch.Generator().manual_seed(params.seed),
        validate=validate,
        label="base network",
    )
    return parameters_of(without_statistics(network)), curve


def fetch_base(family: Family, params: FetchParams) -> dict[str, Tensor]:
    """Read the base network from a file or an address.

    Args:
        family: The weights must fit its base width exactly.
        params: The section `fetch` with path or url, and sha256. For a url, a file of its name
            in $NEUMETA_CHECKPOINT_ROOT (default data/checkpoints) saves the download.

    Returns:
        The parameters with BatchNorm folded.

    Raises:
        UserError: If it cannot be had, its sha256 is another, or its tensors do not fit.
    """
    where = str(params.path or params.url)
    content = _file(where) if params.source == "file" else _local_or_downloaded(where)
    digest = hashlib.sha256(content).hexdigest()
    if digest != params.sha256:
        raise UserError(f"{where}: sha256 is {digest}; must be {params.sha256}")
    weights = parse_weights(content, where)
    network = family.build(family.base, norm=True)
    if params.by_order:
        weights = named_by_order(network, weights, where)
    put_weights(network, weights, where)
    return parameters_of(without_statistics(network))


def _file(where: str) -> bytes:
    """Prefer the file as it is named; else take it from the checkpoint folder."""
    local = Path(os.environ.get(CHECKPOINT_ROOT_VARIABLE) or DEFAULT_CHECKPOINT_ROOT) / where
    return _read_file(str(local) if local.is_file() and not Path(where).is_file() else where)


def _read_file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot read the base network: {error.strerror}") from error


def _local_or_downloaded(url: str) -> bytes:
    """Prefer a file of the address's name in the checkpoint folder; its sha256 decides later."""
    root = Path(os.environ.get(CHECKPOINT_ROOT_VARIABLE) or DEFAULT_CHECKPOINT_ROOT)
    local = root / PurePosixPath(urllib.parse.urlparse(url).path).name
    return _read_file(str(local)) if local.is_file() else _download(url)


def _download(url: str) -> bytes:
    if not url.startswith(("http://", "https://", "file://")):
        raise UserError(f"{url}: not an address; use http://, https:// or file://")
    try:
        with urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT_SECONDS) as answer:
            content: bytes = answer.read()
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise UserError(f"{url}: cannot download the base network: {reason}") from error
    return content
