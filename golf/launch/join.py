"""How the ranks of a job find each other by torchrun's variables: who is missing is logged, and the wait is bounded."""

import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from torch.distributed import DistNetworkError, PrefixStore, Store, TCPStore

from golf.errors import UserError

SECONDS_OF_SILENCE = 5.0  # before it is logged for whom this rank waits
SECONDS_BETWEEN_LOOKS = 0.1

log = logging.getLogger(__name__)


class Meeting:
    """Where this rank meets the others: a store with a key for each that is there, whose value is its process id."""

    def __init__(self) -> None:
        self.rank, self.world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        self.host, self.port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        self.keys = [f"rank{rank}" for rank in range(self.world_size)]
        # Rank 0 holds the store, unless torch's launcher does.
        self.is_master = self.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"

    def join(self, timeout: float) -> Store:
        """Wait for all ranks; the store.

        Raises UserError, with the ranks that are missing, after `timeout` seconds. An interrupt ends the wait.
        """
        until = time.monotonic() + timeout
        if not self.is_master:
            self._wait(self._closed, until, timeout, first=self.rank)
        store = self.connect(timeout, self.is_master)
        store.set(self.keys[self.rank], str(os.getpid()))
        self._wait(lambda: self._missing(store), until, timeout)
        return store

    def connect(self, timeout: float, is_master: bool = False) -> Store:
        """A connection of its own to the store, for answers within `timeout` seconds; `is_master` opens the store.

        Raises UserError if there can be none.
        """
        host = "localhost" if is_master else self.host
        patience = timedelta(seconds=timeout)
        try:
            store = TCPStore(host, self.port, None, is_master, patience, wait_for_workers=False, multi_tenant=True)
        except DistNetworkError as error:
            raise UserError(f"MASTER_ADDR={host} MASTER_PORT={self.port}: {str(error).splitlines()[0]}") from error
        return PrefixStore(f"golf/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)

    def _closed(self) -> list[int]:
        """Rank 0 if nobody holds the store. Asked of a socket, since torch's own connection waits uninterruptibly."""
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            return [0]
        return []

    def _missing(self, store: Store) -> list[int]:
        if store.check(self.keys):
            return []
        return [rank for rank, key in enumerate(self.keys) if not store.check([key])]

    def _wait(
        self, missing: Callable[[], Sequence[int]], until: float, timeout: float, first: int | None = None
    ) -> None:
        """Wait until no rank is missing. `first`, or the first rank that is there, logs which are."""
        told_at = time.monotonic() + SECONDS_OF_SILENCE
        while ranks := missing():
            now = time.monotonic()
            who = f"rank{'s' * (len(ranks) > 1)} {', '.join(map(str, ranks))} of {self.world_size}"
            where = f"MASTER_ADDR={self.host} MASTER_PORT={self.port}"
            if now > until:
                unset = "unset RANK and WORLD_SIZE if this is to be one process alone"
                raise UserError(
                    f"{who} did not come to {where} within launch.join_timeout={timeout:g} seconds; {unset}"
                )
            if now > told_at:
                told_at = until
                if self.rank == (min(set(range(self.world_size)) - set(ranks)) if first is None else first):
                    log.warning("rank %d waits for %s at %s, for %g seconds", self.rank, who, where, timeout)
            time.sleep(SECONDS_BETWEEN_LOOKS)
