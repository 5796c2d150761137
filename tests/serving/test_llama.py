"""tools.serve --engine llama, with a small program in llama-server's place; tests/export asks the real one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.builders import call
from verdicts.base.jsonl import write_json, write_text
from verdicts.config.load import load
from verdicts.config.tools import section_text
from verdicts.export.records import Conversion
from verdicts.records.evaluation import Named

ROOT = Path(__file__).resolve().parents[2]
ANSWERS = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(" ".join(sys.argv[1:]).encode())
    def log_message(self, *words):
        pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Answer).serve_forever()
"""


@pytest.fixture
def project(tmp_path) -> Path:
    """A folder with a run's served.yaml, an exported student, and the program."""
    config = load("miniature", "bbu_line")
    for tool in ("served", "predict"):
        write_text(tmp_path / "run" / "bbu_line" / "config" / f"{tool}.yaml", section_text(config, tool))
    folder = tmp_path / "checkpoints" / "x" / "gguf-q8_0"
    named = Named(folder="checkpoints/x/merged", sha256="0" * 64)
    made = Conversion(
        student=named, llama_cpp="0.3.36", quant="q8_0", mmproj_quant="f16", files=[], settings_checked=1,
        photo_tokens=[16, 64], found=[],
    )  # fmt: skip
    write_json(folder / "conversion.json", made)
    for name in ("model.gguf", "mmproj.gguf"):
        (folder / name).touch()
    program = tmp_path / ".wheels" / "llama-programs" / "bin" / "llama-server"
    write_text(program, f"#!{sys.executable}\n{ANSWERS}")
    program.chmod(0o755)
    return tmp_path


def words(folder: Path, **options: object) -> dict[str, object]:
    given = {"run_dir": folder / "run" / "bbu_line", "host": "127.0.0.1", "port": 0, "engine": "llama", "quant": "q8_0"}
    return given | {"student": folder / "checkpoints" / "x" / "merged"} | options


def test_an_export_is_served_with_its_limits_of_a_photo_and_stopped_with_the_tool(project):
    options = [word for name, value in words(project).items() for word in (f"--{name.replace('_', '-')}", str(value))]
    process = subprocess.Popen(
        [sys.executable, "-m", "tools.serve", *options], cwd=project, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    said = [process.stderr.readline(), process.stderr.readline()]
    assert "gguf-q8_0 answers at http://127.0.0.1:" in said[1], said
    url = said[1].split("answers at ")[1].split()[0]
    started = httpx.get(f"{url}/models", trust_env=False).text
    assert (
        "gguf-q8_0/model.gguf --mmproj " in started
        and "--image-min-tokens 16 --image-max-tokens 64 --alias student" in started
    )
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 128 + signal.SIGINT
    with pytest.raises(httpx.TransportError):
        httpx.get(url, trust_env=False)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"quant": "f16"}, "gguf-f16: no exported student in it; run make export, or name the QUANT that is there"),
        ({"host": "0.0.0.0"}, "--host: llama-server is started on 127.0.0.1 alone; leave HOST out"),
        ({"run_dir": "absent"}, "absent/config/served.yaml: no such file"),
    ],
)
def test_what_llama_server_cannot_serve_is_told_in_one_sentence(project, option, said):
    outcome = call("serve", **words(project, **option))
    assert outcome.code == 2 and said in outcome.err, outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
