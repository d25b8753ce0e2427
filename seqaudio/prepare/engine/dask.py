"""Prepare on a Dask cluster: `--dask tcp://HOST:PORT`.

    with dask_executor("tcp://10.0.0.1:8786") as executor:
        build_store(out, items, process, description, executor=executor)

Workers read the inputs and write their chunks themselves. So all of them need the source and the store's folder on a
shared file system under the same paths, and the same version of seqaudio.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from seqaudio.errors import OptionError, StoreError, how_to_install

CONNECT_SECONDS = 5


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """An executor that runs tasks on the workers of the Dask scheduler at `address`.

    Raises:
        OptionError: distributed is not installed; an invalid address; no scheduler answers, or it has no workers.
        StoreError: a worker died repeatedly on the same chunk.
    """
    try:
        import distributed
        from distributed.comm.addressing import get_address_host_port
        from distributed.scheduler import KilledWorker
    except ImportError:
        raise OptionError(f"--dask {address} needs Dask: {how_to_install('dask')}") from None
    connect: Any = distributed.Client  # its calls have no types
    try:
        get_address_host_port(address, strict=True)  # a Client with an invalid address hangs when it is deleted
    except ValueError as error:
        raise OptionError(f"--dask {address}: not an address ({error}); expected tcp://HOST:PORT") from None
    try:
        client = connect(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:  # TypeError: tls:// without its settings
        raise OptionError(
            f"--dask {address}: no Dask scheduler answers there ({type(error).__name__}); start one with `dask "
            f"scheduler`, workers with `dask worker {address}`"
        ) from None
    with client:
        if not client.scheduler_info()["workers"]:
            raise OptionError(f"--dask {address}: the scheduler has no workers; start one: dask worker {address}")
        try:
            yield client.get_executor()
        except KilledWorker as error:
            raise StoreError(
                f"a Dask worker died repeatedly ({error}); finished work is kept: run the command again with more "
                f"memory for each worker"
            ) from None
