"""What gave a stage another identity."""

import pytest

from neumeta.core.identity import Closure
from neumeta.gate.why import differences

FILES = {
    "neumeta/a.py": b'"""A."""\nX = 1\n\n\ndef f():\n    return X\n\n\ndef g():\n    return 2\n',
    "neumeta/b.py": b"class B:\n    size = 1\n\n    def run(self):\n        return 1\n",
    "neumeta/c.css": b"p {}",
}
PACKAGES = {"torch": "2.13.0"}


def edited(path: str, old: str, new: str) -> list[str]:
    text = FILES[path].decode()
    assert text.count(old) == 1
    files = FILES | {path: text.replace(old, new).encode()}
    return list(differences(Closure(FILES, PACKAGES), Closure(files, PACKAGES)))


@pytest.mark.parametrize(
    ("path", "old", "new", "lines"),
    [
        ("neumeta/a.py", '"""A."""', '"""B."""', []),
        ("neumeta/a.py", "return 2", "return 3", ["neumeta/a.py: g changed"]),
        ("neumeta/a.py", "X = 1", "X = 2", ["neumeta/a.py: module level changed"]),
        (
            "neumeta/a.py",
            "def g()",
            "def h()",
            ["neumeta/a.py: g is gone", "neumeta/a.py: h is new"],
        ),
        ("neumeta/b.py", "size = 1", "size = 2", ["neumeta/b.py: B changed"]),
        ("neumeta/b.py", "return 1", "return 2", ["neumeta/b.py: B.run changed"]),
        ("neumeta/c.css", "p", "q", ["file neumeta/c.css: changed"]),
    ],
)
def test_what_changed_is_named(path: str, old: str, new: str, lines: list[str]) -> None:
    assert edited(path, old, new) == lines


def test_functions_in_another_order_are_no_comments() -> None:
    text = FILES["neumeta/a.py"].decode()
    head, f, g = text.split("\n\n\n")
    files = FILES | {"neumeta/a.py": "\n\n\n".join([head, g, f]).encode()}
    old, new = Closure(FILES, PACKAGES), Closure(files, PACKAGES)
    assert old.digest() != new.digest()
    assert list(differences(old, new)) == ["neumeta/a.py: its parts stand in another order"]


def test_packages_and_moved_files_are_named() -> None:
    files = {"neumeta/b.py": b"import math\n", "neumeta/d.py": FILES["neumeta/a.py"]}
    new = Closure(files, {"torch": "2.14.0", "numpy": "2.4.6"})
    assert list(differences(Closure(FILES, PACKAGES), new)) == [
        "package numpy: absent -> 2.4.6",
        "package torch: 2.13.0 -> 2.14.0",
        "neumeta/b.py: B is gone",
        "neumeta/b.py: B.run is gone",
        "neumeta/b.py: module level is new",
        "file neumeta/c.css: gone",
        "file neumeta/d.py: was neumeta/a.py",
    ]


def test_every_difference_of_digests_is_told() -> None:
    """Nothing that changes an identity may be called a mere comment."""
    for path, content in FILES.items():
        text = content.decode()
        for line in filter(str.strip, text.splitlines()):
            shorter = text.replace(line + "\n", line.replace(line.strip(), "pass") + "\n", 1)
            try:
                new = Closure(FILES | {path: shorter.encode()}, PACKAGES)
                changed = new.digest() != Closure(FILES, PACKAGES).digest()
            except Exception:
                continue  # no Python any more
            assert bool(list(differences(Closure(FILES, PACKAGES), new))) is changed, line
