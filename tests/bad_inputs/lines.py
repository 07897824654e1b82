"""Command lines of which one word is absurd, or would destroy something."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bad_inputs import place
from tests.bad_inputs.tries import Case

NEUMETA = "neumeta.__main__"
HUGE = "12345678901234567890123"
NO_FILES = ("absent.safetensors", "", "other", "mine.json", "\udcff", "a\nb", "x" * 300, "a.png")
NO_SEEDS = ("-1", HUGE, "1.5", "x", "", "1e3", "nan", "9" * 5000, "0x10", "²")
NO_WIDTHS = ("0", "-3", "7", HUGE, "3.0", "x", "", "9" * 5000)
NO_DRAWS = ("0", "-1", HUGE, "1.5", "x", "5000")
NO_NOISE = ("-1", "1e30", "nan", "inf", "x", "1e400", "5")
NO_DEVICES = ("gpu", "cuda:99", "", "cpu:7", "tpu", "meta")
# Each stands for something of a user's: an input under any of its names, other kinds, no file.
TAKEN = (
    *(place.INR, f"./{place.INR}", "inr/../inr/seed-0.safetensors", "link.safetensors"),
    *("hard.safetensors", place.DATASET, place.ORDERS, "params.yaml", "mine.json", "mine.csv"),
    *("mine.onnx", "mine.html", "other", "hollow", "/dev/null", "/dev/full", "", "a.png"),
    *("mine.json/x.safetensors", "x.pt", "x", "x" * 300 + ".safetensors"),
)
NO_NAMES = ("digits-lenet", "data", "run", "Big", "a_b", "", "a b", "digits", "index", "../x", "é")
NO_IMAGES = ("absent", "", "params.yaml", "hollow", "other", "a.png", place.INR, "mine.json")
NO_PARAMS = ("absent.yaml", "", "other", place.INR, "mine.csv", "a.png")
NO_SHARDS = ("0/0", "2/1", "a/b", "-1/2", "1", "", f"1/{HUGE}")


@dataclass(frozen=True)
class Form:
    """A good command, and what may be wrong with it.

    Attributes:
        module: What is run.
        words: Good words, flags with their values.
        bad: By flag, or place of a word without flag, bad values.
    """

    module: str
    words: dict[str, str]
    bad: dict[str, tuple[str, ...]]

    def made(self, flag: str, value: str) -> list[str]:
        """The command with one value put in."""
        words = [self.module]
        for name, good in {**self.words, flag: value}.items():
            words += [value if name == flag else good] if name.isdigit() else []
            words += [f"--{name}={value if name == flag else good}"] if not name.isdigit() else []
        return words


def _but(*good: str) -> tuple[str, ...]:
    """What is taken, but for names that are good for one output."""
    return tuple(name for name in TAKEN if name not in good)


def _forms() -> list[Form]:
    main, new = NEUMETA, "new.safetensors"
    draws = {"draws": NO_DRAWS, "noise": NO_NOISE, "seed": NO_SEEDS}
    stages = "neumeta.stages."
    outs = {"out": TAKEN, "record": TAKEN}
    inputs = {"dataset": NO_FILES, "permuted": NO_FILES, "experiment": NO_NAMES[1:]}
    data = {"dataset": place.DATASET, "record": "new.run.json"}
    own = {**data, "experiment": "digits-lenet"}
    base = {**own, "permuted": place.NETWORK}
    return [
        Form(
            main,
            {"0": "sample", "1": place.INR, "width": "3", "out": new},
            {"0": ("smple", "", "-x"), "1": NO_FILES, "width": NO_WIDTHS, "out": TAKEN, **draws},
        ),
        Form(
            main,
            {"0": "evaluate", "1": place.INR, "width": "3", "dataset": place.DATASET},
            {
                **{"1": NO_FILES, "width": NO_WIDTHS, "dataset": (*NO_FILES, place.INR)},
                **{"split": ("all", ""), "device": NO_DEVICES, **draws},
            },
        ),
        Form(main, {"0": "info", "1": place.INR}, {"1": NO_FILES}),
        Form(
            main,
            {"0": "permute", "1": place.NETWORK, "arch": "lenet", "out": new},
            {
                **{"1": NO_FILES, "arch": ("", "lenet5", "resnet50", "é"), "seed": NO_SEEDS},
                **{"out": (*TAKEN, place.NETWORK), "solver": ("fast", "")},
                "json": (*_but("x", "x.pt"), place.NETWORK, new),
                "orders": (*_but(place.ORDERS), place.NETWORK, new),
            },
        ),
        Form(main, {"0": "check"}, {"params": NO_PARAMS, "1": ("x",)}),
        Form(main, {"0": "use", "1": "digits-lenet"}, {"params": NO_PARAMS, "1": NO_NAMES[1:]}),
        Form(
            main,
            {"0": "new", "1": "fresh", "images": place.TREE},
            {"1": NO_NAMES, "images": NO_IMAGES, "params": NO_PARAMS},
        ),
        Form(main, {"0": "code", "1": "why", "2": "train"}, {"1": ("how", ""), "2": ("x", "")}),
        Form(
            f"{stages}data",
            {"dataset": "digits", "out": new, "card": "new.json", "record": "new.run.json"},
            {
                "dataset": NO_NAMES[1:3],
                "out": _but(place.DATASET),
                "record": TAKEN,
            },
        ),
        Form(
            f"{stages}fetch",
            {**own, "out": new, "history": "new.csv"},
            {"dataset": NO_FILES, "experiment": NO_NAMES[1:], **outs, "device": NO_DEVICES},
        ),
        Form(
            f"{stages}metamorphosis.train",
            {**base, "out": "new", "history": "new.csv"},
            {
                **{"out": (place.INR, "other", "pictures", "mine.json", "/dev/null")},
                **{"history": TAKEN, "record": TAKEN, "shard": NO_SHARDS, **inputs},
            },
        ),
        Form(
            f"{stages}metamorphosis.sweep",
            {**own, "inr": "inr", "out": "new.csv"},
            {"inr": ("absent", "other", "hollow", place.INR), **outs, "shard": NO_SHARDS},
        ),
        Form(f"{stages}metamorphosis.baselines", {**base, "out": "new.csv"}, {**outs, **inputs}),
        Form(
            f"{stages}metamorphosis.ablate",
            {**base, "out": "new.csv"},
            {**outs, "table": ("x", ""), "shard": NO_SHARDS},
        ),
        Form(
            f"{stages}metamorphosis.orders",
            {**data, "network": "digits-lenet", "base": place.NETWORK, "out": "new.json"},
            {"base": NO_FILES, "dataset": NO_FILES, **outs},
        ),
        Form(f"{stages}index", {"summaries": "hollow", "out": "new.html"}, {"out": TAKEN}),
    ]


def lines(folder: Path, chance: random.Random) -> Iterator[Case]:
    """Every form with every bad value, in a random order, again and again."""
    all_cases = [
        Case(f"{flag} {value[:30]!r}", form.made(flag, value))
        for form in _forms()
        for flag, values in form.bad.items()
        for value in values
    ]
    while True:
        chance.shuffle(all_cases)
        yield from all_cases
