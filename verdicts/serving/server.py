"""transformers' own server (``transformers serve``) on a student, started and stopped in this process.

    with serving(folder, 0, 0, Address("127.0.0.1", 8000)) as address: …

Its OpenAI-compatible endpoint is at ``address.url``.
"""

import errno
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from verdicts.base.errors import mistake
from verdicts.serving.view import NAME, write_view

PACKAGES = ("fastapi", "uvicorn", "openai")
STOP_S = 0.7  # a tool that is told to stop has a second (verdicts/command/stopping.py)


class Address(NamedTuple):
    """Where a server listens; ``port`` 0 is any free one."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The base of the endpoint, as clients are given it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/v1"


def check_packages() -> None:
    """Raise UserError where a package is missing that the server is made of."""
    if absent := [name for name in PACKAGES if find_spec(name) is None]:
        raise mistake(f"{', '.join(absent)}: not installed", "run `make setup-serve`")


def free_port(address: Address) -> Address:
    """The address with its port, found free. Raises UserError where a server could not listen there."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise mistake(f"{address.host} is no address ({error.strerror})", "name another HOST", field="--host") from None
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(place)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise mistake(
                    f"{address.host} is no address of this machine", "name another HOST", field="--host"
                ) from None
            why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
            raise mistake(f"port {address.port} of {address.host} {why}", "name another PORT", field="--port") from None
        return address._replace(port=probe.getsockname()[1])


@contextmanager
def serving(folder: Path, max_photo_pixels: int, n_threads: int, address: Address) -> Iterator[Address]:
    """While open, the student in ``folder`` answers at the address that is returned, asked as ``Student`` asks it.

    For one server a process: transformers reads the place of its cache once, when it is first imported. Raises
    UserError for a folder that is no student, and for an address that is taken.
    """
    with TemporaryDirectory(prefix="served-") as cache:
        # before anything imports transformers: the view is all that it shall find, and nothing is fetched
        os.environ.update(HF_HUB_CACHE=cache, HF_HUB_OFFLINE="1")
        from verdicts.student.model import Encoder
        from verdicts.student.processor import register_photo_processor

        write_view(Encoder(folder, max_photo_pixels), Path(cache))
        register_photo_processor()
        import torch
        from transformers.cli.serve import Serve

        if n_threads:
            torch.set_num_threads(n_threads)
        address, gpu = free_port(address), torch.cuda.is_available()
        serve = Serve(
            force_model=NAME,
            device="cuda" if gpu else "cpu",
            dtype="bfloat16" if gpu else "float32",  # as Student has it, and the gate judged it
            host=address.host,
            port=address.port,
            log_level="error",
            non_blocking=True,
        )
        try:
            while not serve.server.started:
                if not serve._thread.is_alive():
                    raise mistake(f"no server came up at {address.url}", "name another PORT", field="--port")
                time.sleep(0.05)
            yield address
        finally:
            serve.server.should_exit = serve.server.force_exit = True
            serve._thread.join(STOP_S)
