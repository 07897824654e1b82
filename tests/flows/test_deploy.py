"""The scheduled deployment, against the server that its one command starts."""

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.deploy import ONE_AT_A_TIME, main, schedule_of
from flows.errors import FlowError
from flows.server import healthy, port_is_free
from tests.flows.toy import PROJECT, alive, edit, flow_environment, free_port, post, wait_for

# DVC 3.67 reads an attribute that pygtrie has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")


def test_schedules_of_the_command_line() -> None:
    assert schedule_of(None, None, None).cron == "0 3 * * *"
    weekly = schedule_of("30 6 * * 1", None, "Europe/Berlin")
    assert (weekly.cron, weekly.timezone) == ("30 6 * * 1", "Europe/Berlin")
    assert schedule_of(None, 90, None).interval == timedelta(seconds=90)


@pytest.mark.parametrize(
    ("cron", "interval", "zone", "text"),
    [
        ("often", None, None, "--cron 'often': not a schedule; needs five fields"),
        ("0 3 * *", None, None, "--cron '0 3 * *': not a schedule; needs five fields"),
        ("0 3 * * *", None, "Mars/Base", "--timezone 'Mars/Base': not a schedule"),
        ("", None, None, "--cron '': not a schedule; needs five fields"),
        (None, 0.0, None, "--interval 0: needs a number of seconds above 0"),
        (None, float("nan"), None, "--interval nan: needs a number of seconds above 0, at most"),
        (None, 1e30, None, "--interval 1e+30: needs a number of seconds above 0, at most"),
        (None, 1e-9, None, "--interval 1e-09: needs a number of seconds above 0, at most"),
        (None, 60.0, "UTC", "--timezone: belongs to --cron"),
    ],
)
def test_a_wrong_schedule_is_one_line(
    cron: str | None, interval: float | None, zone: str | None, text: str
) -> None:
    with pytest.raises(FlowError) as raised:
        schedule_of(cron, interval, zone)
    assert text in str(raised.value) and "\n" not in str(raised.value)


def test_mistakes_are_found_before_a_server_starts(
    done: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEUMETA_ROOT", str(done))
    assert main(["--targets", "nope"]) == 2
    assert capsys.readouterr().err.startswith("error: unknown target 'nope'")


def test_a_run_beside_another_is_dropped() -> None:
    assert ONE_AT_A_TIME.limit == 1
    assert ONE_AT_A_TIME.collision_strategy.value == "CANCEL_NEW"


def test_one_command_serves_scheduled_runs_that_finish_and_can_be_cancelled(
    done: Path, tmp_path: Path
) -> None:
    port = free_port()
    api_url = f"http://127.0.0.1:{port}/api"
    # Polling faster than every 10 s and no user interface, to save time; else as a user runs it.
    env = flow_environment(done, tmp_path / "prefect") | {
        "PREFECT_RUNNER_POLL_FREQUENCY": "2",
        "PREFECT_SERVER_UI_ENABLED": "false",
    }
    command = [sys.executable, "-m", "flows.deploy", "--interval", "3", "--port", str(port)]
    log = tmp_path / "deploy.log"

    def runs(state: str) -> list[dict[str, Any]]:
        wanted = {"flow_runs": {"state": {"type": {"any_": [state]}}}}
        return list(post(api_url, "flow_runs/filter", wanted))

    def sleeper() -> int:
        """The process id of the stage that sleeps, once it runs."""
        file = done / "data-digits.pid"
        pid = int(wait_for(lambda: file.exists() and file.read_text(), 60, log.read_text()))
        file.unlink()
        return pid

    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--targets", "data@digits"],
            cwd=PROJECT,
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(lambda: process.poll() is not None or healthy(api_url), 120, "no server")
        wait_for(lambda: runs("COMPLETED"), 90, "no scheduled run finished")
        completed = runs("COMPLETED")[0]
        assert completed["auto_scheduled"] and completed["deployment_id"]
        assert completed["parameters"]["targets"] == ["data@digits"]
        assert completed["state"]["message"] == "1 cached"
        # A second one is refused, of this machine and of another, and the first goes on.
        for home, where, reason in (
            (tmp_path / "prefect", {}, f"is served already, by process {process.pid} ("),
            (tmp_path / "elsewhere", {"PREFECT_API_URL": api_url}, f"{api_url} has width-report/"),
        ):
            second = subprocess.run(
                [*command, "--targets", "index"],
                cwd=PROJECT,
                env=env | {"PREFECT_HOME": str(home), **where},
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert second.returncode == 2 and second.stderr.count("\n") == 1
            assert second.stderr.startswith("error: ") and reason in second.stderr
        deployment = post(api_url, "deployments/filter", {})[0]
        assert deployment["parameters"]["targets"] == ["data@digits"] and not deployment["paused"]
        assert deployment["global_concurrency_limit"]["limit"] == 1
        assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"

        # The next run trains for long; cancelling it through the server ends the training.
        edit(done, "digits: {add: 1}", "digits: {add: 1, sleep: 60}")
        pid = sleeper()
        (running,) = runs("RUNNING")
        cancelling = {"state": {"type": "CANCELLING"}, "force": False}
        post(api_url, f"flow_runs/{running['id']}/set_state", cancelling)
        wait_for(lambda: not alive(pid), 15, "the cancelled training still runs")
        wait_for(lambda: running["id"] in [r["id"] for r in runs("CANCELLED")], 30, "not cancelled")

        # Stopping the command ends the run that has started since, and the server.
        pid = sleeper()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
        assert not alive(pid)
        assert not healthy(api_url) and port_is_free("127.0.0.1", port)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert "Traceback" not in log.read_text()
