"""Families by name: what a section of params.yaml or the header of a file asks for."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from torch import nn

from neumeta.core.errors import UserError
from neumeta.data.spec import InputSpec
from neumeta.models.cifar_resnet import cifar_resnet_family
from neumeta.models.family import STREAM_ORDERS, Family
from neumeta.models.lenet import lenet_family
from neumeta.models.params import FamilyParams
from neumeta.models.resnet18 import resnet18_family
from neumeta.models.traced.surgery import traced_family
from neumeta.models.traced.trust import check_trusted

TRACED = "traced"
FAMILIES: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Family]] = {
    "lenet": lenet_family,
    "cifar_resnet": cifar_resnet_family,
    "resnet18": resnet18_family,
    TRACED: traced_family,
}


def make_family(settings: Mapping[str, Any], input_spec: Mapping[str, Any]) -> Family:
    """Build a family from its section and its dataset.

    Args:
        settings: The `family` section as a plain mapping, with the key `name`.
        input_spec: What the network takes; see `Dataset.input_spec`.

    Returns:
        The family.

    Raises:
        UserError: If the name is unknown.
    """
    name = str(settings["name"])
    if name not in FAMILIES:
        raise UserError(f"family {name!r} is unknown; allowed are {', '.join(FAMILIES)}")
    return FAMILIES[name](settings, input_spec)


def family_from_header(header: Mapping[str, Any], network: nn.Module | None = None) -> Family:
    """Rebuild the family that a checkpoint belongs to.

    Args:
        header: A checkpoint's JSON header.
        network: Of the same architecture as the base network, for files that name no builder, or
            one that shall not be run.

    Returns:
        The family.

    Raises:
        UserError: If the header describes no family, or a builder that nobody here named.
    """
    try:
        settings = dict(header["family"])
        FamilyParams.model_validate({k: v for k, v in settings.items() if k != STREAM_ORDERS})
        InputSpec.model_validate(header["input"])
        if settings["name"] == TRACED:
            if network is not None:
                return traced_family(settings, header["input"], network)
            check_trusted(str(settings["build"]), settings.get("options"))
        return make_family(settings, header["input"])
    except KeyError as error:
        raise UserError(f"checkpoint header lacks {error}; was it written by neumeta?") from error
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(map(str, fault["loc"]))
        raise UserError(f"its header describes no family: {place}: {fault['msg']}") from error
