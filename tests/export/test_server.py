"""llama-server as a process of ours, with small programs in its place."""

import os
import sys
from pathlib import Path

import httpx
import pytest

from verdicts.base.errors import UserError
from verdicts.export.server import LlamaServer, Served

ANSWERS = """
import http.server, os, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(" ".join(sys.argv[1:]).encode())
    def log_message(self, *words):
        pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Answer).serve_forever()
"""
DIES = "import sys; print('0.1 E error: unknown model architecture', file=sys.stderr); sys.exit(3)"
NEVER = "import time; time.sleep(60)"


def programs(folder: Path, script: str) -> Path:
    (folder / "bin").mkdir()
    program = folder / "bin" / "llama-server"
    program.write_text(f"#!{sys.executable}\n{script}")
    program.chmod(0o755)
    (folder / "model.gguf").touch()
    return folder


def server(folder: Path, script: str, **options) -> LlamaServer:
    served = Served(folder / "model.gguf", slots=2, context=512, photo_tokens=(16, 64))
    return LlamaServer(served, folder / "log", programs=programs(folder, script), **options)


def test_it_is_waited_for_told_the_photo_limits_and_stopped(tmp_path):
    with server(tmp_path, ANSWERS) as running:
        number = running._process.pid
        said = httpx.get(running.url, trust_env=False).text
        assert "--image-min-tokens 16 --image-max-tokens 64" in said
        assert "--ctx-size 1024 --parallel 2" in said  # 512 for each of 2
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_one_that_ends_by_itself_says_why_in_its_own_words(tmp_path):
    with pytest.raises(UserError, match=r"llama-server ended by itself \(exit 3\): 0.1 E error: unknown model arch"):
        server(tmp_path, DIES).__enter__()


def test_one_that_never_answers_is_stopped(tmp_path):
    never = server(tmp_path, NEVER, wait_s=0.3)
    with pytest.raises(UserError, match="llama-server is not ready after 0 s"):
        never.__enter__()
    assert never._process is None


def test_without_the_program_or_the_files_nothing_is_started(tmp_path):
    with pytest.raises(UserError, match="no such program; run `make llama-programs`"):
        LlamaServer(Served(tmp_path / "model.gguf"), tmp_path / "log", programs=tmp_path)
    programs(tmp_path, NEVER)
    with pytest.raises(UserError, match=r"absent\.gguf: no such file; export the student first"):
        LlamaServer(Served(tmp_path / "absent.gguf"), tmp_path / "log", programs=tmp_path)
