"""Settings of the whole test run, made before anything heavy is imported."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# Toy sizes run fastest on one thread; a fixed count keeps sums, and so bytes, the same everywhere.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["NEUMETA_WORKERS"] = "1"  # tests run side by side already
os.environ["MKL_NUM_THREADS"] = "1"
# Their bytes are the CPU's, on machines with an accelerator too.
os.environ["NEUMETA_DEVICE"] = "cpu"
# Figures need no screen; nothing reports home. Child processes inherit all of it.
os.environ["MPLBACKEND"] = "Agg"
os.environ["DVC_NO_ANALYTICS"] = "1"
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"

# A shell starts background jobs with Ctrl-C ignored, and children inherit that. Flows end by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples on every run; time limits belong to pytest-timeout.
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.load_profile("fixed")


# A file of tests is the work of one process (`--dist loadfile`): the longest come first, so that no
# process waits for another at the end.
LONGEST = (
    "test_other_device_alone.py",
    "flows/test_width_report.py",
    "flows/test_shards.py",
    "test_dvc_rerun.py",
    "flows/test_deploy.py",
    "test_contributing.py",
    "core/test_processes.py",
    "tracing/test_trace.py",
    "stages/metamorphosis/test_ablate.py",
    "methods/metamorphosis/test_resume.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the order of all others stays."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every stage has run at toy size, by the commands of dvc.yaml."""
    from tests.stages.commands import STAGES, run_stage
    from tests.toy import write_toy_params

    folder = tmp_path_factory.mktemp("finished")
    write_toy_params(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for stage in (*STAGES, "index"):
            assert run_stage(stage) == 0, stage
    return folder
