"""The tables that training and ablations write, and that reports read."""

from neumeta.core.tables import Column

LOSS_PARTS = ("loss", "task", "distillation", "reconstruction", "regularisation")
_MEASURED = Column("number", empty=True)
# Of a training: a row is empty where that phase has no such number.
HISTORY_COLUMNS = {
    "seed": Column("whole"),
    "phase": Column("text"),
    "step": Column("whole"),
    **dict.fromkeys(LOSS_PARTS, _MEASURED),
    "lr": _MEASURED,
    "val_accuracy": _MEASURED,
}
ABLATION_COLUMNS = {
    "table": Column("text"),
    "row": Column("text"),
    "seed": Column("whole"),
    "width": Column("whole"),
    "seen": Column("flag"),
    "accuracy": _MEASURED,
    "inr_params": Column("whole"),
    "collapsed": Column("flag"),
}
