"""A toy pipeline of the project's shape, and the processes that run it."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.environment import child_environment

PROJECT = Path(__file__).resolve().parents[2]
ALPHA_BETA = {"alpha": "digits", "beta": "digits"}

# One script plays all stages: it reads its inputs, adds its parameter and writes its output.
# `sleep` parks it, after writing its process id; `fail` ends it with one line, like a user error.
SCRIPT = """\
import json, os, sys, time, yaml
from pathlib import Path
stage, name, *files = sys.argv[1:]
*inputs, output = files
params = yaml.safe_load(Path("params.yaml").read_text())
own = params["data"][name] if stage == "data" else params.get(name, {}).get(stage, {})
print(f"{stage} of {name} starts")
print("\\r 10%\\r 50%\\r100%")
if own.get("sleep"):
    Path(f"{stage}-{name}.pid").write_text(str(os.getpid()))
    time.sleep(own["sleep"])
if own.get("fail"):
    sys.exit(f"{stage} of {name}: {own['fail']}")
total = own.get("add", 0)
for path in inputs:
    path = Path(path)
    found = sorted(path.glob("*.json")) if path.is_dir() else [path]
    total += sum(json.loads(p.read_text())["accuracy"]["mean"] for p in found)
out = Path(output)
out.parent.mkdir(parents=True, exist_ok=True)
text = json.dumps({"accuracy": {"mean": total}})
out.write_text(text)
if stage == "report":
    Path(f"reports/{name}").mkdir(parents=True, exist_ok=True)
    Path(f"reports/{name}/metrics.json").write_text(text)
    Path(f"reports/{name}/accuracy_vs_width.csv").write_text(
        "method,width,seen,seed,accuracy,loss,params,macs\\n"
        "neumeta,8,true,0,0.97,0.1,100,200\\nneumeta,9,false,0,0.5,0.1,110,220\\n")
"""

DVC_YAML = """\
stages:
  data:
    foreach: ${datasets}
    do:
      cmd: python stage.py data ${item} data/${item}.json
      params: ["data.${item}"]
      outs: ["data/${item}.json"]
  fetch:
    foreach: ${experiments}
    do:
      cmd: python stage.py fetch ${key} data/${item}.json data/${key}/fetch.json
      deps: ["data/${item}.json"]
      params: ["${key}.fetch"]
      outs: ["data/${key}/fetch.json"]
  train:
    foreach: ${experiments}
    do:
      cmd: python stage.py train ${key} data/${key}/fetch.json data/${key}/train.json
      deps: ["data/${key}/fetch.json"]
      params: ["${key}.train"]
      outs: ["data/${key}/train.json"]
  report:
    foreach: ${experiments}
    do:
      cmd: python stage.py report ${key} data/${key}/train.json reports/summary/${key}.json
      deps: ["data/${key}/train.json"]
      outs:
        - "reports/summary/${key}.json": {cache: false}
        - "reports/${key}/accuracy_vs_width.csv": {cache: false}
      metrics:
        - "reports/${key}/metrics.json": {cache: false}
  index:
    cmd: python stage.py index - reports/summary reports/index.json
    deps: [reports/summary]
    outs:
      - reports/index.json: {cache: false}
"""

PARAMS = """\
experiments: {alpha: digits, beta: digits}
datasets: [digits]
data: {digits: {add: 1}}
alpha: {fetch: {add: 10}, train: {add: 100, sleep: 0}}
beta: {fetch: {add: 20}, train: {add: 200, sleep: 0}}
"""

STAGES = [
    "data@digits",
    *(f"{stage}@{name}" for stage in ("fetch", "train", "report") for name in ALPHA_BETA),
    "index",
]


def shell(*command: str, cwd: Path) -> str:
    """Run a command that must succeed and return its output."""
    done = subprocess.run(
        command, cwd=cwd, env=child_environment(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def dvc(*arguments: str, cwd: Path) -> str:
    """Run a DVC command that must succeed and return its output."""
    return shell(sys.executable, "-m", "dvc", *arguments, cwd=cwd)


def make_toy(folder: Path) -> Path:
    """Write the toy pipeline into a folder, as a git and DVC repository with one commit."""
    folder.mkdir(parents=True)
    (folder / "stage.py").write_text(SCRIPT)
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / "params.yaml").write_text(PARAMS)
    (folder / ".gitignore").write_text("/data\n*.pid\n.prefect\n")
    shell("git", "init", "-q", "-b", "main", cwd=folder)
    shell("git", "config", "user.email", "toy@example.org", cwd=folder)
    shell("git", "config", "user.name", "Toy", cwd=folder)
    dvc("init", "-q", cwd=folder)
    dvc("config", "core.analytics", "false", cwd=folder)
    dvc("config", "core.check_update", "false", cwd=folder)
    shell("git", "add", "-A", cwd=folder)
    shell("git", "commit", "-q", "-m", "toy", cwd=folder)
    return folder


# In the place of the project's stage `code`: identities are copied from a file.
CODE = """\
  code:
    cmd: cp identities.txt code.json
    deps: [identities.txt]
    outs:
      - code.json: {cache: false}
"""
FETCHED, TRAINED = '"fetch": "1"', '"train": "1"'


def add_code(folder: Path) -> Path:
    """Give a toy a stage `code`, and let two stages take their identities from it."""
    edit(folder, "stages:\n", f"stages:\n{CODE}", "dvc.yaml")
    for stage in ("fetch", "train"):
        key = f'params: ["${{key}}.{stage}"'
        edit(folder, f"{key}]", f"{key}, {{code.json: [{stage}]}}]", "dvc.yaml")
    (folder / "identities.txt").write_text(f"{{{FETCHED}, {TRAINED}}}")
    return folder


def edit(folder: Path, old: str, new: str, file: str = "params.yaml") -> None:
    """Replace a text in a file of the toy; it must be there once."""
    text = (folder / file).read_text()
    assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {file}"
    (folder / file).write_text(text.replace(old, new))


def flow_environment(root: Path, home: Path) -> dict[str, str]:
    """The environment of a flow process on the toy, apart from the user's own Prefect."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    return env | {"NEUMETA_ROOT": str(root), "PREFECT_HOME": str(home)}


@dataclass(frozen=True)
class Flows:
    """Runs flow processes against one Prefect server of the tests' own."""

    home: Path
    api_url: str

    def environment(self, root: Path) -> dict[str, str]:
        """The environment of a flow process on a toy."""
        return flow_environment(root, self.home) | {"PREFECT_API_URL": self.api_url}

    def start(self, root: Path, *arguments: str) -> "subprocess.Popen[str]":
        """Start the flow on a toy."""
        return subprocess.Popen(
            [sys.executable, "-m", "flows.width_report", *arguments],
            cwd=PROJECT,
            env=self.environment(root),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, root: Path, *arguments: str) -> tuple[int, str]:
        """Run the flow on a toy to its end: exit code and output."""
        process = self.start(root, *arguments)
        output, _ = process.communicate(timeout=120)
        return process.returncode, output

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Ask the server."""
        return post(self.api_url, path, body)


def post(api_url: str, path: str, body: dict[str, Any]) -> Any:
    """Send a JSON request to a Prefect server and return its answer."""
    request = urllib.request.Request(
        f"{api_url}/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Poll until a condition holds; fail with a text after some seconds."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"after {seconds} s: {what}"
        time.sleep(0.05)
    return value


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended but was not collected by its parent does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
