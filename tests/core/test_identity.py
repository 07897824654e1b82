"""The identity of a stage's code: what it holds, and what changes it."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from neumeta.core.errors import UserError
from neumeta.core.identity import (
    GUARD,
    LOCK,
    NOT_COMPUTING,
    closure_of,
    digest_of,
    distribution,
    imported_names,
    locked_versions,
    read_tree,
    stage_modules,
)

ROOT = Path(__file__).parents[2]
NETWORK = "import numpy as np\nimport tqdm\n\n\ndef build():\n    return np.e\n"
TRAIN = "neumeta/stages/train.py"
FILES = {
    "neumeta/__init__.py": b'"""Package."""\nfrom neumeta.lone import LAZY\n',
    "neumeta/lone.py": b"LAZY = 1\n",
    "neumeta/stages/__init__.py": b"",
    TRAIN: b"import torch\nfrom neumeta.inr.network import build\nbuild()\n",
    "neumeta/stages/data.py": b"import json\n",
    "neumeta/stages/_shared.py": b"X = 1\n",
    "neumeta/inr/__init__.py": b'"""Networks."""\n',
    "neumeta/inr/network.py": NETWORK.encode(),
    "neumeta/inr/other.py": b"Y = 1\n",
    "neumeta/report/__init__.py": b"",
    "neumeta/report/page.py": b"from PIL import Image\n",
    "neumeta/report/page.html.j2": b"<p>",
    "neumeta/report/parts/style.css": b"p {}",
    LOCK: b"# Locked.\nnumpy==2.4.6\npillow==13.0.0\nscipy==1.17.1\ntorch==2.13.0\ntqdm==4.70.1\n",
}


def files(changes: dict[str, str]) -> dict[str, bytes]:
    """The toy tree with other content of files of the package, or of the lock."""
    place = {LOCK: LOCK}
    return FILES | {place.get(n, f"neumeta/{n}"): text.encode() for n, text in changes.items()}


def inside(text: str, stage: str = "train") -> set[str]:
    """What a stage of this text runs, beside its own module and the packages it lies in."""
    own = {TRAIN, "neumeta/stages/__init__.py"}
    return {*closure_of(stage, files({"stages/train.py": text})).files} - own


def test_a_closure_holds_what_is_imported_and_nothing_else() -> None:
    found = closure_of("train", FILES)
    assert set(found.files) == {TRAIN, "neumeta/inr/__init__.py", "neumeta/inr/network.py"}
    assert found.packages == {"numpy": "2.4.6", "torch": "2.13.0"}  # json is part of Python


@pytest.mark.parametrize(
    "text",
    [
        "import neumeta.inr.network",
        "import neumeta.inr.network as n",
        "from neumeta.inr import network",
        "from neumeta.inr.network import build",
        "from neumeta.inr.network import *",
        "from ..inr import network",
        "from ..inr.network import build",
        "def f():\n    from neumeta.inr.network import build",
        "class A:\n    def f(self):\n        import neumeta.inr.network",
        "if TYPE_CHECKING:\n    from neumeta.inr.network import build",
        "try:\n    import neumeta.inr.network\nexcept ImportError:\n    pass",
        "import_module('neumeta.inr.network')",
        "importlib.import_module('neumeta.inr.network')",
        "importlib.import_module(name='neumeta.inr.network')",
        "import_module('..inr.network', __package__)",
        "__import__('neumeta.inr.network')",
    ],
)
def test_an_import_is_followed_wherever_it_stands(text: str) -> None:
    assert inside(text) == {"neumeta/inr/__init__.py", "neumeta/inr/network.py"}


@pytest.mark.parametrize("text", ["'neumeta.inr.network'", "# import neumeta.inr", "import inr"])
def test_a_mere_mention_is_no_import(text: str) -> None:
    assert inside(text) == set()


def test_imports_are_followed_on_and_may_go_round() -> None:
    tree = files(
        {
            "stages/train.py": "from . import _shared",
            "stages/_shared.py": "from neumeta.inr import other",
            "inr/other.py": "from neumeta.stages import _shared",
        }
    )
    assert {"neumeta/stages/_shared.py", "neumeta/inr/other.py"} < {
        *closure_of("train", tree).files
    }


def test_what_lies_beside_a_module_in_its_package_counts() -> None:
    beside = {"neumeta/report/page.html.j2", "neumeta/report/parts/style.css"}
    assert beside < inside("import neumeta.report.page")
    assert beside < inside("import neumeta.report")
    assert not beside & inside("from neumeta.inr import network")
    changed = FILES | {"neumeta/report/page.html.j2": b"<div>", TRAIN: b"import neumeta.report"}
    before = FILES | {TRAIN: b"import neumeta.report"}
    assert closure_of("train", changed).digest() != closure_of("train", before).digest()


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"inr/network.py": NETWORK.replace("def build", "# Why.\ndef build")}, False),
        ({"inr/network.py": f'"""Doc."""\n{NETWORK}'}, False),
        ({"inr/network.py": NETWORK.replace("np.e", "np.pi")}, True),
        ({"inr/__init__.py": ""}, False),
        ({"inr/__init__.py": "X = 1"}, True),
        ({"inr/other.py": "Y = 2"}, False),
        ({"stages/data.py": "import math"}, False),
        ({"__init__.py": "X = 1"}, False),
        ({"inr/new.py": "X = 1"}, False),
        ({LOCK: "numpy==2.4.7\ntorch==2.13.0\ntqdm==4.70.1"}, True),
        ({LOCK: "numpy==2.4.6\ntorch==2.13.0\ntqdm==5.0.0\nscipy==2.0.0"}, False),
        ({LOCK: "torch==2.13.0\nnumpy==2.4.6  # a note"}, False),
        ({LOCK: "numpy==2.4.6\n"}, True),
    ],
)
def test_what_changes_an_identity(changes: dict[str, str], changed: bool) -> None:
    before, after = closure_of("train", FILES), closure_of("train", files(changes))
    assert (before.digest() != after.digest()) is changed


def test_an_identity_is_the_same_for_equal_code_alone() -> None:
    digests = {closure_of(stage, FILES).digest() for stage in ("train", "data")}
    assert len(digests) == 2 and all(len(digest) == 16 for digest in digests)
    # Which file holds the code is part of it: the same code elsewhere is another closure.
    moved = files(
        {"stages/train.py": "import torch\nfrom neumeta.inr.other import build\nbuild()\n"}
    )
    moved["neumeta/inr/other.py"] = FILES["neumeta/inr/network.py"]
    assert closure_of("train", moved).digest() != closure_of("train", FILES).digest()


def test_python_is_compared_by_its_tree_and_all_else_by_its_bytes() -> None:
    assert digest_of("a.py", b"x=1") == digest_of("b.py", b"x = 1\n")
    assert digest_of("a.css", b"x=1") != digest_of("a.css", b"x = 1\n")


def test_stages_are_public_modules_in_any_folder_below_stages() -> None:
    tree = files({"stages/morph/sweep.py": "X = 1", "stages/morph/_rows.py": "X = 1"})
    assert stage_modules(tree) == {
        "data": "neumeta/stages/data.py",
        "sweep": "neumeta/stages/morph/sweep.py",
        "train": TRAIN,
    }


def test_two_stages_of_one_name_are_refused() -> None:
    tree = files({"stages/morph/train.py": "X = 1"})
    with pytest.raises(
        UserError, match=r"stage 'train': neumeta/stages/morph/train.py and neumeta"
    ):
        stage_modules(tree)


def test_an_unknown_stage_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^no stage 'nope'; stages are data, train$"):
        closure_of("nope", FILES)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"x = 1\ndef f(:\n", "neumeta/inr/network.py: not Python: line 2: "),
        (b"x = '\xff'\n", "neumeta/inr/network.py: not Python: 'utf-8' codec can't decode"),
        (b"x = 1\0\n", "neumeta/inr/network.py: not Python: "),
    ],
)
def test_what_is_no_python_is_named(content: bytes, text: str) -> None:
    tree = FILES | {"neumeta/inr/network.py": content}
    with pytest.raises(UserError) as raised:
        closure_of("train", tree).digest()
    assert str(raised.value).startswith(text) and "\n" not in str(raised.value)
    with pytest.raises(UserError):
        digest_of("neumeta/inr/network.py", content)


def test_a_tree_is_read_without_hidden_and_compiled_files(tmp_path: Path) -> None:
    for path, content in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    for path in ("report/.DS_Store", "report/.cache/a.css", "inr/__pycache__/a.txt", "inr/a.pyc"):
        (tmp_path / "neumeta" / path).parent.mkdir(exist_ok=True)
        (tmp_path / "neumeta" / path).touch()
    (tmp_path / "params.yaml").touch()
    assert read_tree(tmp_path) == FILES


def test_versions_of_a_lock() -> None:
    text = (
        "# note==1\nTorch==2.13.0+cpu ; python_version < '3.15'\nruamel.yaml==0.19\n"
        "dask[array]==2026.1 \\\n    --hash=sha256:0\n-e .\nloose>=1\n"
    )
    versions = {"torch": "2.13.0+cpu", "ruamel-yaml": "0.19", "dask": "2026.1"}
    assert locked_versions(text) == versions


@pytest.mark.parametrize(
    ("imported", "name"),
    [
        ("PIL", "pillow"),
        ("sklearn", "scikit-learn"),
        ("torch_pruning", "torch-pruning"),
        ("ruamel", "ruamel-yaml"),
        ("torch", "torch"),
    ],
)
def test_distributions_of_imports(imported: str, name: str) -> None:
    assert distribution(imported) == name


def modules() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Path, source and package of every module of the project."""
    for path, content in read_tree(ROOT).items():
        if path.endswith(".py"):
            yield path, content.decode(), Path(path).parent.parts


def test_every_package_that_the_project_imports_is_locked_by_its_name() -> None:
    locked = locked_versions((ROOT / LOCK).read_text())
    tops = {n.partition(".")[0] for _, s, package in modules() for n in imported_names(s, package)}
    foreign = {name for name in tops if name != "neumeta" and name not in sys.stdlib_module_names}
    assert {"torch", "PIL"} <= foreign
    assert {name for name in foreign if distribution(name) not in locked} == set()
    assert {distribution(name) for name in foreign} >= NOT_COMPUTING


# The one computes nothing for stages, the other runs stages that it is told of.
NAMED_AT_RUN_TIME = {
    *("neumeta/__init__.py", "neumeta/gate/worker.py"),
    "neumeta/__main__.py",  # commands, which no stage imports
    "neumeta/models/traced/builder.py",  # a network of somebody's own: its params name it
}


def test_no_stage_imports_what_only_a_variable_names() -> None:
    """Such an import could not be followed, and an edit behind it would be missed."""
    found = set()
    for path, source, _ in modules():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func).rpartition(".")[2]
                if name in {"import_module", "__import__", "exec", "run_module", "run_path"}:
                    constant = node.args and isinstance(node.args[0], ast.Constant)
                    found |= set() if constant else {path}
    assert found == NAMED_AT_RUN_TIME


def test_no_stage_computes_with_docstrings() -> None:
    readers = {path for path, source, _ in modules() if "__doc__" in source}
    inside = {p for stage in stage_modules(read_tree(ROOT)) for p in closure(stage)}
    assert readers & inside == set() and "neumeta/core/stage.py" in inside


def closure(stage: str) -> set[str]:
    return {*closure_of(stage, read_tree(ROOT)).files}


def test_closures_of_the_project_hold_what_they_must() -> None:
    assert "neumeta/core/stage.py" in closure("data")
    assert {"neumeta/report/page.html.j2", "neumeta/report/page.css"} <= closure("report")
    assert not any(path.startswith("neumeta/report/") for path in closure("train"))
    assert not any(path.startswith("neumeta/gate/") for path in closure("train"))
    # The guard, and what it alone imports: it shapes no result.
    guard = {GUARD, "neumeta/core/identity.py", "neumeta/core/ledger.py"}
    assert guard <= {*read_tree(ROOT)} and not guard & closure("train")
    assert closure_of("train", read_tree(ROOT)).packages.keys() >= {"torch", "safetensors"}
