"""Endless streams of bad inputs, one for each kind of thing that a user brings."""

import io
import json
import os
import random
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML
from safetensors import safe_open
from safetensors.torch import save

from neumeta.core.checkpoint import HEADER_KEY
from tests.bad_inputs import place
from tests.bad_inputs.damage import damaged, pictures, saved, twisted
from tests.bad_inputs.lines import NEUMETA, lines
from tests.bad_inputs.tries import Case, Cases
from tests.toy import toy_params


def params(folder: Path, chance: random.Random) -> Iterator[Case]:
    """Parameter files with a value, a key or some bytes that are wrong."""
    good = (folder / "params.yaml").read_bytes()
    while True:
        if chance.random() < 0.7:
            value, told = twisted(toy_params(), chance)
            stream = io.StringIO()
            YAML(typ="safe", pure=True).dump(value, stream)
            content = stream.getvalue().encode("utf-8", "surrogatepass")
        else:
            content, told = damaged(good, chance), "damaged bytes"
        command = chance.choice([["check"], ["use", "digits-lenet"]])
        yield Case(
            f"params: {told}",
            [NEUMETA, *command, "--params", "bad/params.yaml"],
            {"bad/params.yaml": content},
            harmless=True,
        )


def checkpoints(folder: Path, chance: random.Random) -> Iterator[Case]:
    """Our own files with bytes or values of the header that are wrong."""
    names = (place.INR, place.NETWORK, place.DATASET, place.ORDERS)
    good = {name: (folder / name).read_bytes() for name in names}
    while True:
        name = chance.choice(names)
        if chance.random() < 0.5:
            with safe_open(folder / name, framework="pt") as stream:
                header = json.loads(stream.metadata()[HEADER_KEY])
                tensors = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118
            header, told = twisted(header, chance)
            content = save(tensors, metadata={HEADER_KEY: json.dumps(header)})
        else:
            content, told = damaged(good[name], chance), "damaged bytes"
        bad = "bad.safetensors"
        data = bad if name == place.DATASET else place.DATASET
        inr = place.INR if name == place.DATASET else bad
        scored = ["evaluate", inr, "--dataset", data, "--width", "3"]
        command = chance.choice(
            [["info", bad], ["sample", bad, "--width", "3", "--out", "new.safetensors"], scored]
        )
        yield Case(f"{name}: {told}", [NEUMETA, *command], {bad: content}, harmless=True)


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch executed",)


def pickles(folder: Path, chance: random.Random) -> Iterator[Case]:
    """What `torch.save` wrote, damaged, with other things in it, or with code."""
    state = torch.load(folder / place.PICKLE)
    goods = [saved(state), saved(state, _use_new_zipfile_serialization=False)]
    goods += [
        saved({"model": state, "epoch": 3}),
        saved({"state_dict": {"a": state}, "x": _Evil()}),
    ]
    strange: list[Any] = [_Evil(), [], {}, None, 3, {"a": 1}, list(state.values()), torch.ones(3)]
    while True:
        if chance.random() < 0.2:
            value = chance.choice(strange)
            content, told = saved(value), f"holds {type(value).__name__}"
        elif chance.random() < 0.3:
            twist = dict(state)
            key = chance.choice(sorted(twist))
            way = chance.choice([torch.nan, torch.inf, 1e30])
            twist[key] = torch.full_like(twist[key], way)
            if chance.random() < 0.5:
                twist[key] = torch.zeros(0)
            content, told = saved(twist), f"{key} is {way} or empty"
        else:
            content, told = damaged(chance.choice(goods), chance), "damaged bytes"
        command = ["permute", "bad.pt", "--arch", "lenet", "--out", "new.safetensors"]
        yield Case(f"pickle: {told}", [NEUMETA, *command], {"bad.pt": content}, harmless=True)


def images(folder: Path, chance: random.Random) -> Iterator[Case]:
    """A tree of pictures of which one is damaged."""
    good = pictures()
    while True:
        suffix = chance.choice(sorted(good))
        yield Case(
            f"image: damaged {suffix}",
            [NEUMETA, "new", "pictures", "--images", place.TREE],
            {f"{place.TREE}/train/cat/x.{suffix}": damaged(good[suffix], chance)},
            harmless=True,
        )


def zips(folder: Path, chance: random.Random) -> Iterator[Case]:
    """Zips of pictures, damaged or with members that mean no data set."""
    good = (folder / place.ZIP).read_bytes()
    names = ("train/cat/../../x.png", "/train/cat/x.png", "train/cat/0.png", "train//x.png")
    while True:
        content, told = damaged(good, chance), "damaged bytes"
        if chance.random() < 0.3:
            stream = io.BytesIO(good)
            with zipfile.ZipFile(stream, "a") as archive, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a name that is there twice
                name = chance.choice([*names, "val/bird/x.png", "train/cow/"])
                archive.writestr(name, b"" if chance.random() < 0.5 else chance.randbytes(50))
            content, told = stream.getvalue(), f"with {name}"
        yield Case(
            f"zip: {told}",
            [NEUMETA, "new", "pictures", "--images", "bad.zip"],
            {"bad.zip": content},
            harmless=True,
        )


KINDS: dict[str, Cases] = {
    "params": params,
    "checkpoints": checkpoints,
    "pickles": pickles,
    "images": images,
    "zips": zips,
    "command lines": lines,
}
