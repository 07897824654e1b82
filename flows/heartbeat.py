"""A line while a child is silent: DVC says nothing while it fetches, sends, hashes or waits."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SILENCE = 25.0  # seconds; a stage itself tells more often


@contextmanager
def heartbeat(
    name: str, say: Callable[[str], None], every: float = SILENCE
) -> Iterator[Callable[[], None]]:
    """Say that something goes on, whenever nothing was heard of it for a while.

    Args:
        name: what goes on.
        say: receives the line.
        every: seconds of silence.

    Yields:
        To be called when something is heard.
    """
    start = last = time.monotonic()
    over = threading.Event()

    def heard() -> None:
        nonlocal last
        last = time.monotonic()

    def watch() -> None:
        while not over.wait(max(last + every - time.monotonic(), 0.01)):
            now = time.monotonic()
            if now - last >= every:
                minutes, seconds = divmod(round(now - start), 60)
                say(f"{name}: {minutes}:{seconds:02d} so far")
                heard()

    thread = threading.Thread(target=watch, name=f"heartbeat of {name}", daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        over.set()
        thread.join()
