"""The Prefect server that PREFECT_API_URL names: whether it answers, before a run relies on it."""

import threading
from urllib.parse import urlsplit

from prefect.client.orchestration import get_client

from flows.environment import LOCAL_HOSTS, set_proxies_aside
from flows.errors import FlowError, one_line
from flows.variables import wrong_address

ASK_LIMIT = 12.0  # seconds until it counts as gone


def check_configured(api_url: str) -> None:
    """Look whether the configured server answers, by way of Prefect's own client.

    Args:
        api_url: the address.

    Raises:
        FlowError: it is no address, nobody answers in time, or a program that is no such server.
    """
    where = f"PREFECT_API_URL={api_url}"
    if wrong := wrong_address(api_url):
        raise FlowError(f"{where}: {wrong}")
    if urlsplit(api_url).hostname in LOCAL_HOSTS:
        set_proxies_aside()
    found: list[BaseException | None] = []

    def ask() -> None:
        try:
            with get_client(sync_client=True, httpx_settings={"timeout": ASK_LIMIT}) as client:
                # Also a page of another program is an answer; only a Prefect server has a version.
                client.raise_for_api_version_mismatch()
            found.append(None)
        except Exception as error:  # of the network, of TLS, of a proxy, of the answer
            found.append(error.__cause__ or error)

    # In a thread: the look-up of a name has no limit of its own.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(ASK_LIMIT)
    error = found[0] if found else f"no answer within {ASK_LIMIT:.0f} s"
    if error is not None:
        raise FlowError(
            f"{where}: no Prefect server answers there ({one_line(error)}); "
            "start it, or unset the variable for a server of this command's own"
        )
