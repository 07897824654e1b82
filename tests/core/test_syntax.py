"""What a change of a source file means: comments and docstrings nothing, all else something."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from neumeta.core.syntax import module_meaning, parts

MODULE = '''\
"""Module."""

import math
from a import b as c

LIMIT: int = 3


@decorated(1)
class Family(Base, metaclass=Meta):
    """Class."""

    widths = (1, 2)

    def build(self, width: int = 4, *, norm: bool = False) -> str:
        """Method."""
        # A comment.
        if width > LIMIT:
            return f"{width:>{LIMIT}} wide"
        return "narrow"


async def load(path, /, *rest, **options):
    async with path as stream:
        return [line async for line in stream if line is not None]
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Module."""\n', ""),
        ('"""Module."""', '"""Another text."""'),
        ('    """Class."""\n', ""),
        ('        """Method."""\n', '        """Method.\n\n        More.\n        """\n'),
        ("        # A comment.\n", ""),
        ("LIMIT: int = 3", "LIMIT: int = 3  # of what"),
        ("\n\n\nasync", "\n\n\n\n\nasync"),
        ('return "narrow"', "return 'narrow'"),
        ('return "narrow"', 'return (\n            "narrow"\n        )'),
        ('"narrow"', '"nar" "row"'),
        ('"narrow"', 'u"narrow"'),
        ("if width > LIMIT:", "if (width > LIMIT):  # type: ignore"),
        ("int = 4, *,", "int = 0x4, *,"),
        ("bool = False)", "bool = False,)"),
    ],
)
def test_what_means_nothing(old: str, new: str) -> None:
    assert MODULE.count(old) == 1
    assert module_meaning(MODULE.replace(old, new)) == module_meaning(MODULE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import math\n", ""),
        ("from a import b as c", "from a import b"),
        ("from a", "from .a"),
        ("LIMIT: int = 3", "LIMIT: int = 4"),
        ("LIMIT: int = 3", "LIMIT = 3"),
        ("LIMIT: int = 3", "LIMIT: float = 3"),
        ("LIMIT: int = 3", "LIMIT: int = 3.0"),
        ("LIMIT: int = 3", "LIMIT: int = True"),
        ("LIMIT: int = 3", "LIMIT: int = None"),
        ("LIMIT: int = 3", "LIMIT: int"),
        ("@decorated(1)\n", ""),
        ("@decorated(1)", "@decorated(2)"),
        ("(Base, metaclass=Meta)", "(Base)"),
        ("(1, 2)", "(2, 1)"),
        ("(1, 2)", "[1, 2]"),
        ("width: int = 4", "width: int = 5"),
        ("width: int = 4", "width: float = 4"),
        ("*, norm", "norm"),
        ("norm: bool = False", "norm: bool"),
        ("-> str", "-> object"),
        ("width > LIMIT", "width >= LIMIT"),
        ("width > LIMIT", "width < LIMIT"),
        ("} wide", "} wide "),
        (":>{", ":<{"),
        ("{width:", "{width!r:"),
        ('"narrow"', 'b"narrow"'),
        ('"narrow"', '"Narrow"'),
        ('        return "narrow"\n', ""),
        ("async def", "def"),
        ("async for", "for"),
        ("path, /, *rest", "path, *rest"),
        ("**options", "options"),
        ("is not None", "is None"),
        ('"""Method."""', "pass"),
        ("        # A comment.", '        "A text in the midst of statements."'),
    ],
)
def test_what_means_something(old: str, new: str) -> None:
    assert MODULE.count(old) == 1
    text = MODULE.replace(old, new)
    assert module_meaning(text) != module_meaning(MODULE)


def test_the_order_of_statements_counts() -> None:
    assert module_meaning("a = 1\nb = 2") != module_meaning("b = 2\na = 1")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("pass", "Module(body=[Pass()])"),
        ("x = None", "value=Constant(value=None)"),
        ("def f(): pass", "FunctionDef(name='f', args=arguments(), body=[Pass()])"),
        ("class A: pass", "ClassDef(name='A', body=[Pass()])"),
        ("f()", "Call(func=Name(id='f', ctx=Load()))"),
        ("[]", "List(ctx=Load())"),
        ("{**a}", "Dict(keys=[None], values=[Name(id='a', ctx=Load())])"),
        ("x[1:]", "slice=Slice(lower=Constant(value=1))"),
        # Python 3.12 alone has an empty text in the format, behind `w` and around a lone part.
        ("f'{x:>{w}}'", "JoinedStr(values=[Constant(value='>'), FormattedValue("),
        ("f'{x:{w}}'", "format_spec=JoinedStr(values=[FormattedValue("),
    ],
)
def test_the_text_has_no_empty_fields(text: str, meaning: str) -> None:
    found = module_meaning(text)
    assert meaning in found
    assert "=[]" not in found and "Constant(value='')" not in found


# Of MODULE: a Python that makes another tree of it would make all committed results stale.
DIGEST = "863febd857299204"


def digest_by(python: str, folder: Path) -> str:
    """Hash MODULE with another interpreter, which has none of our packages."""
    (folder / "module.py").write_text(MODULE, encoding="utf-8")
    code = (
        "import hashlib, runpy, sys; "
        "text = open(sys.argv[2], encoding='utf-8').read(); "
        "meaning = runpy.run_path(sys.argv[1])['module_meaning'](text); "
        "print(hashlib.sha256(meaning.encode()).hexdigest()[:16])"
    )
    syntax = Path(__file__).parents[2] / "neumeta/core/syntax.py"
    command = [python, "-I", "-c", code, str(syntax), str(folder / "module.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.stdout.strip() or done.stderr


def test_the_text_is_that_of_every_python() -> None:
    assert hashlib.sha256(module_meaning(MODULE).encode()).hexdigest()[:16] == DIGEST


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_other_pythons_agree(version: str, tmp_path: Path) -> None:
    own = ".".join(map(str, sys.version_info[:2]))
    python = sys.executable if version == own else f"python{version}"
    try:
        subprocess.run([python, "--version"], capture_output=True, check=True, timeout=60)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"no Python {version} here")
    assert digest_by(python, tmp_path) == DIGEST


def test_parts_are_functions_methods_and_the_rest() -> None:
    found = parts(MODULE)
    assert set(found) == {"module level", "Family", "Family.build", "load"}
    assert "LIMIT" in found["module level"] and "'math'" in found["module level"]
    assert "'decorated'" in found["Family"] and "'widths'" in found["Family"]
    assert "narrow" in found["Family.build"] and "narrow" not in found["Family"]


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("int = 4", "int = 5", {"Family.build"}),
        ("(1, 2)", "(1, 2, 3)", {"Family"}),
        ("@decorated(1)", "@decorated(2)", {"Family"}),
        ("LIMIT: int = 3", "LIMIT: int = 4", {"module level"}),
        ("async def load", "async def read", {"load", "read"}),
        ('"""Class."""', '"""Changed."""', set()),
    ],
)
def test_a_change_is_in_its_part(old: str, new: str, changed: set[str]) -> None:
    before, after = parts(MODULE), parts(MODULE.replace(old, new))
    assert {n for n in {*before, *after} if before.get(n) != after.get(n)} == changed
