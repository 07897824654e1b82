"""Schema of a whole experiment."""

from pydantic import Field, model_validator

from neumeta.core.fields import Percent, Section, Width
from neumeta.methods.metamorphosis.params.ablate import AblateParams, row_params
from neumeta.methods.metamorphosis.params.baselines import BaselineParams
from neumeta.methods.metamorphosis.params.merge import MergeParams
from neumeta.methods.metamorphosis.params.train import SweepParams, TrainParams
from neumeta.permute.params import PermuteParams
from neumeta.training.params import NetworkSection


class ReportParams(Section):
    """Text of the report, and published numbers to stand beside the measured ones."""

    title: str
    summary: str
    published: dict[Width, Percent] | None = Field(
        None, description="accuracy of NeuMeta in the paper by width, per cent"
    )
    published_base: Percent | None = Field(None, description="of the paper's base network")
    base_saw_validation: bool = Field(
        False, description="whether the base network was trained on the validation split, too"
    )


class Experiment(NetworkSection):
    """One experiment: a dataset, a family, and one section per stage."""

    permute: PermuteParams
    train: TrainParams
    sweep: SweepParams
    merge: MergeParams
    baselines: BaselineParams
    ablate: AblateParams
    report: ReportParams

    @model_validator(mode="after")
    def _widths_in_family(self) -> "Experiment":
        low, high = self.family.min_width, self.family.max_width
        used = {
            "train.widths": self.train.widths.values(),
            "train.probe_widths": self.train.probe_widths,
            "sweep.widths": self.sweep.widths.values(),
            "merge.widths": self.merge.widths.values(),
        }
        used |= {f"baselines.{key}": w for key, w in self.baselines.all_widths().items()}
        used["ablate.widths"] = self.ablate.widths
        for table in self.ablate.tables:
            for row in table.rows:
                changed = row_params(self.train, table, row)
                widths = (*changed.widths.values(), *changed.probe_widths)
                used[f"ablate: table {table.name!r}, row {row.name!r}"] = widths
        for name, widths in used.items():
            for width in widths:
                if not low <= width <= high:
                    raise ValueError(f"{name}: width {width} is outside the family's {low}..{high}")
        above = list(self.baselines.above(self.family.base_width))
        above += [w for w in self.merge.widths.values() if w > self.family.base_width]
        if self.baselines.slimmable or self.baselines.integral:
            trained = self.train.widths.values()
            above += [width for width in trained if width > self.family.base_width]
        for width in above:
            raise ValueError(
                f"baselines: width {width} is above the base width; merging, pruning, "
                f"interpolation and sharing need at most {self.family.base_width}"
            )
        return self
