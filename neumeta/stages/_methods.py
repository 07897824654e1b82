"""The registry of methods: the one list of them. A method is added by one line of `METHODS`."""

from neumeta.core.kinds import Kind, MethodSections
from neumeta.methods.metamorphosis import sections as _metamorphosis
from neumeta.training.params import NetworkSection

METHODS: dict[str, MethodSections] = {
    "metamorphosis": _metamorphosis.SECTIONS,
}
# A network that only others read: a dataset, a family, and where its weights come from.
NETWORK = Kind("network", NetworkSection, frozenset(NetworkSection.model_fields), loops=None)
