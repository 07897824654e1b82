"""The schema of params.yaml: frozen, complete, unknown keys rejected, units in the field text."""

from neumeta.params.ablate import AblateParams, AblateTable, row_params
from neumeta.params.base import (
    FamilyParams,
    FetchParams,
    NetworkSection,
    OptimiserParams,
    PermuteParams,
    Recipe,
    ScheduleParams,
)
from neumeta.params.data import DataParams
from neumeta.params.experiment import Experiment, load_params
from neumeta.params.fields import (
    DEFAULT_DRAWS,
    Criterion,
    Precision,
    ScoredSplit,
    Section,
    Trains,
    WidthRange,
)
from neumeta.params.inr import (
    AugmentationParams,
    InrOptimiserParams,
    LossParams,
    SweepParams,
    TrainParams,
)
from neumeta.params.peers import (
    BaselineParams,
    DistilledParams,
    ExamplesParams,
    IndividualParams,
    IntegralParams,
    PrunedParams,
    ScoringParams,
    SlimmableParams,
    TeachingParams,
)
from neumeta.params.reading import PARAMS_FILE, load_section, load_value, parse, read_yaml
from neumeta.params.selection import LISTS, Selection
from neumeta.params.study import (
    OrdersParams,
    OrderStrategy,
    StudyInrParams,
    StudyParams,
    study_params,
)

__all__ = [
    "DEFAULT_DRAWS",
    "LISTS",
    "PARAMS_FILE",
    "AblateParams",
    "AblateTable",
    "AugmentationParams",
    "BaselineParams",
    "Criterion",
    "DataParams",
    "DistilledParams",
    "ExamplesParams",
    "Experiment",
    "FamilyParams",
    "FetchParams",
    "IndividualParams",
    "InrOptimiserParams",
    "IntegralParams",
    "LossParams",
    "NetworkSection",
    "OptimiserParams",
    "OrderStrategy",
    "OrdersParams",
    "PermuteParams",
    "Precision",
    "PrunedParams",
    "Recipe",
    "ScheduleParams",
    "ScoredSplit",
    "ScoringParams",
    "Section",
    "Selection",
    "SlimmableParams",
    "StudyInrParams",
    "StudyParams",
    "SweepParams",
    "TeachingParams",
    "TrainParams",
    "Trains",
    "WidthRange",
    "load_params",
    "load_section",
    "load_value",
    "parse",
    "read_yaml",
    "row_params",
    "study_params",
]
