"""The table of a base network's training: one row an epoch."""

from neumeta.core.tables import Column

CURVE_COLUMNS = {
    "epoch": Column("whole"),
    "loss": Column("number", empty=True),
    "val_accuracy": Column("number", empty=True),
}
