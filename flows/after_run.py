"""What follows a run: its reports as artifacts, what changed, and the commit."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from prefect.artifacts import create_markdown_artifact

from flows import artifacts, children
from flows.plan import Plan
from flows.stage_task import StageResult, dvc_command, run_child_task, run_logger


def post_reports(plan: Plan, results: Iterable[StageResult], root: Path) -> None:
    """Post the report of each experiment whose report stage is done, and what changed.

    Args:
        plan: the plan.
        results: what became of its stages.
        root: the repository.
    """
    good = {result.name for result in results if result.outcome in ("ran", "cached")}
    posted = False
    for planned in plan.stages:
        files = {PurePosixPath(out).name: root / out for out in planned.stage.outs}
        if planned.name in good and "metrics.json" in files:
            name = planned.stage.item or planned.name
            text = artifacts.report_markdown(
                name, files["metrics.json"], files.get("accuracy_vs_width.csv")
            )
            key = artifacts.artifact_key("report", name)
            create_markdown_artifact(text, key=key, description=f"Width report of {name}")
            posted = True
    if posted:
        create_markdown_artifact(
            changes_markdown(root), key="changes", description="Compared with the last commit"
        )


def changes_markdown(root: Path) -> str:
    """Compare metrics and params with the last commit.

    Args:
        root: the repository.

    Returns:
        Markdown of `dvc metrics diff` and `dvc params diff`.
    """
    parts: list[str] = []
    for what in ("metrics", "params"):
        lines: list[str] = []
        result = children.run_child(dvc_command(what, "diff", "--md"), root, lines.append)
        text = "\n".join(lines) if result.code == 0 else "not available: " + " ".join(lines[-1:])
        parts += [f"## {what.capitalize()}", text or "no change"]
    return "\n\n".join(parts) + "\n"


def commit_results(plan: Plan, root: Path, with_params: bool) -> None:
    """Commit dvc.lock, the identities of the code, the reports and the store, and nothing else.

    Args:
        plan: the plan that was run; it names the reports.
        root: the repository.
        with_params: commit params.yaml and what follows from it, because this run rewrote both.
    """
    folders = {PurePosixPath(out).parts[0] for s in plan.stages for out in s.stage.outs}
    chosen = ["params.yaml", "data/selected.json"] if with_params else []
    wanted = [
        "dvc.lock",
        "code.json",
        "data/inputs.json",
        "data/store",
        *sorted(folders & {"reports"}),
        *chosen,
    ]
    paths = [path for path in wanted if (root / path).exists()]
    run_child_task.submit("git add", ["git", "add", "--", *paths], str(root)).result()
    clean = children.run_child(
        ["git", "diff", "--quiet", "HEAD", "--", *paths], root, lambda line: None
    )
    if clean.code == 0:
        run_logger().info("nothing to commit")
        return
    message = "Run the pipeline: " + (", ".join(plan.items) or "all stages")
    command = ["git", "commit", "--quiet", "-m", message, "--", *paths]
    run_child_task.submit("git commit", command, str(root)).result()
