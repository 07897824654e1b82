"""The device is chosen by name, draws are the CPU's, and a stage says where it computed."""

import json
from pathlib import Path

import pytest
import torch

from neumeta.core import device as devices
from neumeta.core.device import autocast, choose_device, describe, drawn, own_card, resolve
from neumeta.core.errors import UserError
from neumeta.core.recording import recorded
from neumeta.core.stage import add_device_flag, device_of, flags, guarded, stage_parser
from tests.other_device import DrawnOnDeviceError, pretend

TWO_CARDS = ("cpu", "cuda:0", "cuda:1")


@pytest.mark.parametrize(
    ("name", "there", "found"),
    [
        ("auto", ("cpu",), "cpu"),
        ("auto", ("cpu", "mps"), "mps"),
        ("auto", (*TWO_CARDS, "mps"), "cuda"),
        ("cpu", TWO_CARDS, "cpu"),
        ("cuda", TWO_CARDS, "cuda"),
        ("cuda:1", TWO_CARDS, "cuda:1"),
        ("mps", ("cpu", "mps"), "mps"),
    ],
)
def test_names_of_devices(name: str, there: tuple[str, ...], found: str) -> None:
    assert resolve(name, there, "--device") == torch.device(found)


@pytest.mark.parametrize(
    "name", ["gpu", "CPU", "cpu:0", "cuda:", "cuda:01", "cuda:-1", "cuda:1 ", "meta", " ", ""]
)
def test_an_unknown_name_says_what_is_allowed(name: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve(name, TWO_CARDS, "--device")
    assert str(caught.value) == f"--device is {name!r}; must be auto, cpu, cuda, cuda:N or mps"


@pytest.mark.parametrize("name", ["mps", "cuda:2"])
def test_a_device_that_is_not_there_says_which_are(name: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve(name, TWO_CARDS, "NEUMETA_DEVICE")
    assert str(caught.value) == f"NEUMETA_DEVICE is {name!r}; this machine has cpu, cuda:0, cuda:1"


@pytest.mark.parametrize(
    ("flag", "variable", "found"),
    [
        (None, None, "cuda"),
        (None, "", "cuda"),
        (None, "cpu", "cpu"),
        ("cuda:1", "cpu", "cuda:1"),
        ("auto", "cpu", "cuda"),
        ("cpu", "no such device", "cpu"),
    ],
)
def test_the_flag_wins_over_the_variable(
    flag: str | None, variable: str | None, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "available", lambda: TWO_CARDS)
    monkeypatch.delenv("NEUMETA_DEVICE", raising=False)
    if variable is not None:
        monkeypatch.setenv("NEUMETA_DEVICE", variable)
    assert choose_device(flag) == torch.device(found)
    parser = stage_parser("toy")
    add_device_flag(parser)
    args = flags([] if flag is None else ["--device", flag], parser)
    assert device_of(args) == torch.device(found)


def test_an_error_names_what_was_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "available", lambda: ("cpu",))
    monkeypatch.setenv("NEUMETA_DEVICE", "mps")
    with pytest.raises(UserError, match=r"^NEUMETA_DEVICE is 'mps'; this machine has cpu$"):
        choose_device(None)
    with pytest.raises(UserError, match=r"^--device is 'cuda'; this machine has cpu$"):
        choose_device("cuda")


@pytest.mark.parametrize(("cards", "mps"), [(0, False), (2, False), (0, True)])
def test_all_cards_of_a_machine_are_listed(
    cards: int, mps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    wanted = ("cpu", *[f"cuda:{index}" for index in range(cards)], *(["mps"] if mps else []))
    assert devices.available() == wanted


def test_every_process_has_a_card_of_its_own() -> None:
    found = [own_card(torch.device("cuda"), rank, TWO_CARDS) for rank in range(2)]
    assert found == [torch.device("cuda:0"), torch.device("cuda:1")]
    assert own_card(torch.device("cpu"), 1, TWO_CARDS) == torch.device("cpu")
    with pytest.raises(UserError, match="'cuda:1', but several processes need a card each"):
        own_card(torch.device("cuda:1"), 1, TWO_CARDS)
    with pytest.raises(UserError, match="finds no cuda:2; this machine has cpu, cuda:0, cuda:1"):
        own_card(torch.device("cuda"), 2, TWO_CARDS)


def test_a_record_names_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"card {device.index}")
    assert describe(torch.device("cuda:1")) == "cuda:1 (card 1)"
    assert describe(torch.device("cpu")) == "cpu"


def test_a_stage_records_the_device_that_its_flag_chose(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEUMETA_DEVICE", "no such device")
    parser = stage_parser("toy", "--record")
    add_device_flag(parser)

    def stage(name: str) -> int:
        args = flags(["--record", str(tmp_path / "run.json"), "--device", name], parser)

        def body() -> None:
            with recorded("toy", args.record, [], describe(device_of(args))):
                pass

        return guarded("toy", body)

    assert stage("tpu") == 1
    error = capsys.readouterr().err
    assert error == "toy: error: --device is 'tpu'; must be auto, cpu, cuda, cuda:N or mps\n"
    assert stage("cpu") == 0
    assert json.loads((tmp_path / "run.json").read_text())["device"] == "cpu"


def test_draws_are_those_of_the_cpu() -> None:
    here, there = (torch.Generator().manual_seed(3) for _ in range(2))
    for sampler, arguments in (
        (torch.rand, ((2, 3),)),
        (torch.randint, (5, (4,))),
        (torch.randperm, (6,)),
    ):
        wanted = sampler(*arguments, generator=here)
        found = drawn(sampler, *arguments, generator=there, device=pretend())
        assert found.device == pretend()
        assert torch.equal(found.cpu(), wanted)
        with pytest.raises(DrawnOnDeviceError):
            sampler(*arguments, device=pretend())


@pytest.mark.parametrize("device", ["cpu", "pretend"])
def test_autocast_is_that_of_the_device(device: str) -> None:
    where = pretend() if device == "pretend" else torch.device("cpu")
    values = torch.ones((2, 2), device=where)
    with autocast(where, "bfloat16"):
        assert (values @ values).dtype == torch.bfloat16
    with autocast(where, "float32"):
        assert (values @ values).dtype == torch.float32
