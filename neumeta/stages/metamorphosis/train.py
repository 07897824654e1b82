"""Stage train: train one INR per seed; resumable after any interruption."""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neumeta.core.cache_key import RESUME_ROOT, loaded_code, state_key
from neumeta.core.files import atomic_write_bytes, check_writable, sha256_of
from neumeta.core.processes import ProcessGroup, assembled
from neumeta.core.reading import load_section
from neumeta.core.stage import flags, recorded, stage_parser, staged
from neumeta.core.tables import write_table
from neumeta.data.dataset import read_dataset
from neumeta.methods.metamorphosis.inr_file import write_inr
from neumeta.methods.metamorphosis.params.train import TrainParams
from neumeta.methods.metamorphosis.points import at_width
from neumeta.methods.metamorphosis.problem import Problem, make_problem
from neumeta.methods.metamorphosis.resume import ResumeFolder
from neumeta.methods.metamorphosis.trainer import HISTORY_COLUMNS, Trainer
from neumeta.models.network_file import read_network


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    parser = stage_parser(
        "metamorphosis.train",
        "--experiment",
        "--dataset",
        "--permuted",
        "--out",
        "--history",
        "--record",
    )
    args = flags(argv, parser)

    def body() -> None:
        with assembled() as processes:
            train(args, processes)

    return staged("train", body)


def train(args: argparse.Namespace, processes: ProcessGroup) -> None:
    """Train all seeds; only the leading process of a group writes files.

    Args:
        args: The flags of the stage.
        processes: The processes that share the work.
    """
    check_writable(args.record)
    params = load_section(TrainParams, f"{args.experiment}.train")
    base, family, _ = read_network(args.permuted)
    dataset = read_dataset(args.dataset, family.input_spec)
    for width in (*params.widths.values(), *params.probe_widths):
        at_width(family, width)
    inputs = [args.dataset, args.permuted, *loaded_code()]
    key = state_key(params.model_dump(mode="json"), inputs)
    resume = ResumeFolder(RESUME_ROOT / args.experiment / "train", key)
    processes.check_batch(params.task.batch_size)
    start = time.perf_counter()
    problem = make_problem(family, base, dataset, params)
    shared = time.perf_counter() - start
    origin = {
        "noise": params.sample_noise,
        "train_widths": list(params.widths.values()),
        "data_sha256": dataset.content_sha256(),
        "base_sha256": sha256_of(args.permuted),
    }
    diaries = [_train_seed(problem, seed, resume, origin, processes) for seed in params.seeds]
    if not processes.leads:
        return
    alone = [round(diary["seconds"], 2) for diary in diaries]
    details = {"seconds_each": alone, "seconds_shared": round(shared, 2)}
    with recorded("train", args.record, earlier=shared + sum(alone), details=details):
        _publish(params.seeds, resume, Path(args.out))
        history = [row for diary in diaries for row in diary["history"]]
        write_table(args.history, HISTORY_COLUMNS, history)
    resume.remove()


def _train_seed(
    problem: Problem,
    seed: int,
    resume: ResumeFolder,
    origin: Mapping[str, Any],
    processes: ProcessGroup,
) -> dict[str, Any]:
    """Train one seed unless it is done; return its loss curve and seconds over all attempts."""
    diary = resume.read_diary(seed)
    processes.agree(f"seed {seed} {'done' if diary else 'open'}")  # and nobody writes before that
    if diary is not None:
        return diary
    trainer = Trainer(problem, seed, processes)
    start = time.perf_counter() - resume.restore(trainer)
    processes.agree(
        f"seed {seed}, {trainer.phase}, step {trainer.step} of run {resume.folder.name}"
    )

    def save(state: Trainer) -> None:
        if processes.leads:
            resume.save(state, time.perf_counter() - start)

    inr = trainer.run(save)
    if not processes.leads:
        return {}
    write_inr(resume.done_path(seed), inr, problem.base, {**origin, "seed": seed})
    return resume.finish(trainer, time.perf_counter() - start)


def _publish(seeds: Sequence[int], resume: ResumeFolder, out: Path) -> None:
    """Copy the finished INRs to the tracked folder, and nothing else."""
    names = {f"seed-{seed}.safetensors": resume.done_path(seed) for seed in seeds}
    for name, source in names.items():
        atomic_write_bytes(out / name, source.read_bytes())
    for stale in set(out.iterdir()) - {out / name for name in names}:
        stale.unlink()


if __name__ == "__main__":
    sys.exit(main())
