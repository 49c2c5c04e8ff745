"""Whether a W&B run can go online: looks for a key and probes the server, without prompts and in bounded time."""

import netrc
import os
import ssl
from queue import Empty, Queue
from threading import Thread
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from golf.paths import expanded

PUBLIC_HOSTS = ("api.wandb.ai", "api.forge.coreweave.com")  # two names of one service: a key for one opens the other


def credentials(settings: Any) -> dict[str, str] | None:
    """The settings to add to `settings` (all of W&B's own sources) to log in; None without a key.

    W&B reads netrc itself but prompts if it finds no key there; given a key, it never prompts.
    """
    if settings.api_key or settings.identity_token_file:
        return {}
    host = urlsplit(settings.base_url).netloc
    try:
        entries = netrc.netrc(expanded(os.environ.get("NETRC") or "~/.netrc"))
    except (OSError, netrc.NetrcParseError):
        return None
    for name in PUBLIC_HOSTS if host in PUBLIC_HOSTS else (host,):
        if (entry := entries.authenticators(name)) and entry[2]:
            return {"api_key": entry[2]}
    return None


def unreachable(url: str, seconds: float) -> str | None:
    """Why `url` does not answer within `seconds`, or None if it does.

    The request runs in a separate thread, since resolving a host name has no timeout.
    """
    answer: Queue[str | None] = Queue()
    Thread(target=lambda: answer.put(_ask(url, seconds)), daemon=True).start()
    try:
        return answer.get(timeout=seconds)
    except Empty:
        return f"no answer from {url} within {seconds:g} s"


def _ask(url: str, seconds: float) -> str | None:
    try:
        with urlopen(url, timeout=seconds):
            return None
    except Exception as error:
        if isinstance(error, HTTPError) and error.code < 500:
            return None
        # The server answered; this Python lacks certificates, and W&B brings its own.
        if isinstance(error, URLError) and isinstance(error.reason, ssl.SSLCertVerificationError):
            return None
        return f"no answer from {url}: {error}"
