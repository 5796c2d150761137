"""llama-server as a process of ours: started on an exported student, waited for, stopped.

Its programs are compiled by `make llama-programs` and lie in .wheels/llama-programs. Greedy answers over HTTP:
verdicts/export/asking.py.
"""

import os
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from verdicts.base.errors import mistake
from verdicts.base.whole_file import writing
from verdicts.command.supervising import die_with
from verdicts.models.threads import quiet_openmp

PROGRAMS = Path(".wheels", "llama-programs")
GET_PROGRAMS = "run `make llama-programs`"
_WAIT_S = 0.1
_TERM_S = 10.0


@dataclass(frozen=True)
class Served:
    """What llama-server serves and how.

    ``context``: tokens of one request's prompt and answer; ``slots``: requests at a time; ``threads``: 0 for its own
    choice. ``photo_tokens``: the fewest and the most that a photo takes, None for the server's own limits (8 and 4,096
    for a Qwen3-VL, whatever the student was taught with). ``name``: of the model, as clients see it; "" for its path.
    """

    model: Path
    mmproj: Path | None = None
    context: int = 4096
    slots: int = 4
    threads: int = 0
    photo_tokens: tuple[int, int] | None = None
    name: str = ""

    def options(self) -> list[str]:
        """The command line's options, without host and port."""
        words = ["--model", str(self.model), *(["--mmproj", str(self.mmproj)] if self.mmproj else [])]
        if self.photo_tokens:
            fewest, most = map(str, self.photo_tokens)
            words += ["--image-min-tokens", fewest, "--image-max-tokens", most]
        if self.name:
            words += ["--alias", self.name]
        if self.threads:
            words += ["--threads", str(self.threads)]
        context = str(self.context * self.slots)
        return [*words, "--ctx-size", context, "--parallel", str(self.slots), "--no-kv-unified", "--no-ui", "--offline"]


class LlamaServer:
    """A running llama-server; a context manager that stops it.

    ``log``: where its words go. Raises UserError where the program is not there, where it ends by itself, and where it
    is not ready after ``wait_s``.
    """

    def __init__(
        self, served: Served, log: Path, *, programs: Path = PROGRAMS, port: int = 0, wait_s: float = 600.0
    ) -> None:
        program = programs / "bin" / "llama-server"
        if not program.is_file():
            raise mistake("no such program", GET_PROGRAMS, path=program)
        for file in filter(None, (served.model, served.mmproj)):
            if not file.is_file():
                raise mistake("no such file", "export the student first (make export)", path=file)
        self.port = port or _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log, self._wait_s = log, wait_s
        self._command = [str(program), *served.options(), "--host", "127.0.0.1", "--port", str(self.port)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        quiet_openmp()
        us = os.getpid()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with writing(self._log), self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=lambda: die_with(us)
            )
        try:
            self._wait(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it, and wait until it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_TERM_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def check(self) -> None:
        """Raise UserError where it has ended by itself."""
        if self._process is not None and (code := self._process.poll()) is not None:
            raise self._wrong(f"llama-server ended by itself (exit {code})")

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._wait_s
        with httpx.Client(trust_env=False, timeout=5.0) as client:
            while process.poll() is None and time.monotonic() < deadline:
                try:
                    if client.get(f"{self.url}/health").status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                time.sleep(_WAIT_S)
        self.check()
        raise self._wrong(f"llama-server is not ready after {self._wait_s:.0f} s")

    def _wrong(self, what: str) -> Exception:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        said = next((line.strip() for line in reversed(lines) if "error" in line.lower()), "")
        return mistake(f"{what}{f': {said[:300]}' if said else ''}", "see its log", path=self._log)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
