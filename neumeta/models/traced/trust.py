"""Which builders of one's own may be run for a file: those that somebody here has named."""

from collections.abc import Mapping
from pathlib import Path

from neumeta.core.errors import UserError
from neumeta.core.reading import PARAMS_FILE, read_yaml

_OF_LIBRARIES = ("torchvision", "timm")
# Options of their builders that read or download files, which no file may ask for.
_LOADING = frozenset(
    ("weights", "weights_backbone", "pretrained", "checkpoint_path", "cache_dir")
) | {"pretrained_cfg", "pretrained_cfg_overlay"}
OWN = "own"  # the kind of a builder that no file can name: a program holds the network


def check_trusted(build: str, options: Mapping[str, object] | None = None) -> None:
    """Refuse to run code for a file that nobody here has named.

    Args:
        build: What the header of the file says.
        options: Likewise, arguments of the builder.

    Raises:
        UserError: If it is neither a network of a library, nor stands in a section `family` of the
            parameter file here.
    """
    if build in _in_params():
        return
    kind = build.partition(":")[0]
    if kind in _OF_LIBRARIES:
        if loading := sorted(_LOADING & {*(options or {})}):
            raise UserError(f"its builder is asked to read other files, by {loading[0]!r}")
        return
    if kind == OWN:
        raise UserError(
            f"its network is somebody's own, a {build.partition(':')[2]}; give one of that kind by "
            "neumeta.load(FILE, network=...), or its builder by --build package.module:function"
        )
    raise UserError(
        f"its network is built by {build!r}, code that is run only if you name it: by --build, by "
        f"neumeta.load(FILE, network={build!r}), or in a section family of {PARAMS_FILE}"
    )


def _in_params() -> set[str]:
    if not Path(PARAMS_FILE).is_file():
        return set()
    sections = [value for value in read_yaml(PARAMS_FILE).values() if isinstance(value, Mapping)]
    families = [section.get("family") for section in sections]
    return {str(found.get("build")) for found in families if isinstance(found, Mapping)}
