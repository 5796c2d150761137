"""A queue goes out to a real Label Studio, is decided there by two people, and comes back: same tickets and decisions.

It needs the program, which LABEL_STUDIO names: `make test-label-studio` installs it into an environment of its own.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.builders import RunFolder, call, guidance, ticket
from verdicts.base.jsonl import read_json, read_rows
from verdicts.records.review import ReviewAgreement, ReviewDecision

PROGRAM = os.environ.get("LABEL_STUDIO", "")
pytestmark = pytest.mark.skipif(not PROGRAM, reason="LABEL_STUDIO names no program: make test-label-studio does")
PATIENCE_S = 400  # an empty database takes 28 s of CPU
ONE, TWO = "one@example.com", "two@example.com"
TOKEN = "0123456789abcdef0123456789abcdef01234567"
PHOTO = b"\xff\xd8 a photo"
KEYS = [f"g{number}::{'fail' if number % 2 else 'pass'}" for number in range(12)]
# what each says of each ticket: word, note, reason to teach
SAID = {
    ONE: [("label_wrong", "看得见", "三处均符合(G0)"), ("model_wrong", "", '缺<螺丝>&"电线"(G0)'), ("exclude", "", "")]
    + [("unsure", "a\nb", "")] * 3
    + [("label_wrong", "", "")] * 6,
    TWO: [("label_wrong", "", ""), ("model_wrong", "", ""), ("exclude", "同意", "")]
    + [("unsure", "", "")] * 3
    + [("model_wrong", "", "")] * 2,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """The folder of the server's data, and of the photos that it serves."""
    folder = tmp_path_factory.mktemp("label-studio")
    (folder / "photos" / "g0").mkdir(parents=True)
    (folder / "photos" / "g0" / "g0_1.jpeg").write_bytes(PHOTO)
    return folder


@pytest.fixture(scope="module")
def address(data) -> Iterator[str]:
    """A Label Studio with an empty database on a free port of this machine; it asks the network for nothing."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = {"LATEST_VERSION_CHECK": "false", "COLLECT_ANALYTICS": "false", "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": ""}
    files = {"LOCAL_FILES_SERVING_ENABLED": "true", "LOCAL_FILES_DOCUMENT_ROOT": str(data)}
    token = {"LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true"}
    words = ["start", "--no-browser", "--port", str(port), "--internal-host", "127.0.0.1", "--data-dir", str(data)]
    words += ["--username", ONE, "--password", "a-long-word-1", "--user-token", TOKEN, "--log-level", "ERROR"]
    with open(data / "log", "wb") as log:
        env = {**os.environ, **quiet, **files, **token, "HOME": str(data)}
        server = subprocess.Popen([PROGRAM, *words], env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(f"http://127.0.0.1:{port}", server, data / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    given_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < given_up:
        assert server.poll() is None, log.read_text(encoding="utf-8", errors="replace")[-2000:]
        try:
            if httpx.get(f"{address}/health", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(1)
    pytest.fail(f"no Label Studio within {PATIENCE_S} s: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")


def client(address: str, token: str) -> httpx.Client:
    return httpx.Client(base_url=address, headers={"Authorization": f"Token {token}"}, timeout=120)


def invited(address: str, owner: httpx.Client, email: str) -> httpx.Client:
    """Another person, who came by the organisation's invitation."""
    with httpx.Client(base_url=address, timeout=120, follow_redirects=True) as page:
        link = owner.get("/api/invite").json()["invite_url"]
        page.get(link)
        form = {"email": email, "password": "a-long-word-2", "csrfmiddlewaretoken": page.cookies["csrftoken"]}
        page.post(link, data=form, headers={"Referer": address}).raise_for_status()
        return client(address, page.get("/api/current-user/token").json()["token"])


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """A finished run in which twelve tickets are queued."""
    played = {key: "pass" if key.endswith("fail") else "fail" for key in KEYS}
    tickets = [ticket(*key.split("::"), (f"电线/捆扎整齐×{n}", "标签/<b>×1")) for n, key in enumerate(KEYS, start=1)]
    made = RunFolder(tmp_path / "final" / "bbu_line", tickets).play(played, after=guidance(1, G1="规则"))
    return made.play(played).finish().complete()


def sent(run: RunFolder, owner: httpx.Client, photos: Path) -> tuple[int, dict[str, int]]:
    """The queue in a new project: its number, and the task of each ticket."""
    folder = run.folder / "label_studio"
    assert call("label_studio", run_dir=run.folder, output_dir=folder, photos=photos).code == 0
    form, tasks = (folder / name for name in ("config.xml", "tasks.json"))
    made = owner.post("/api/projects/", json={"title": "queue", "label_config": form.read_text("utf-8")})
    assert made.status_code == 201, made.text
    project = made.json()["id"]
    storage = {"project": project, "path": str(photos), "use_blob_urls": True}
    assert owner.post("/api/storages/localfiles", json=storage).status_code == 201
    rows = json.loads(tasks.read_text("utf-8"))
    shown = next(row["data"]["photos"] for row in rows if row["data"]["ticket_key"] == KEYS[0])
    assert owner.get(shown[0]).content == PHOTO
    taken = owner.post(f"/api/projects/{project}/import?return_task_ids=true", json=rows)
    assert taken.json()["task_count"] == len(KEYS)
    by_ticket = zip((row["data"]["ticket_key"] for row in rows), taken.json()["task_ids"], strict=True)
    return project, dict(by_ticket)


def decide(person: httpx.Client, task: int, word: str, note: str, reason: str) -> None:
    """What the form sends on Submit (seen in a browser)."""
    parts = [("decision", "choices", {"choices": [word]})]
    parts += [
        (name, "textarea", {"text": [text]}) for name, text in (("note", note), ("corrected_reason", reason)) if text
    ]
    result = [{"from_name": name, "to_name": "said", "type": kind, "value": value} for name, kind, value in parts]
    assert person.post(f"/api/tasks/{task}/annotations/", json={"result": result}).status_code == 201


def exported(owner: httpx.Client, project: int, form: str, path: Path) -> Path:
    """An export with e-mails, in JSON or JSON_MIN."""
    asked = {"title": form, "serialization_options": {"annotations__completed_by": {"only_id": False}}}
    made = owner.post(f"/api/projects/{project}/exports/", json=asked).json()
    got = owner.get(f"/api/projects/{project}/exports/{made['id']}/download", params={"exportType": form})
    path.write_bytes(got.content)
    return path


def test_a_queue_decided_by_two_people_in_label_studio_comes_back_as_it_was_decided(address, data, run, tmp_path):
    owner = client(address, TOKEN)
    people = {ONE: owner, TWO: invited(address, owner, TWO)}
    project, tasks = sent(run, owner, data / "photos")
    for who, decisions in SAID.items():
        for key, said in zip(KEYS, decisions, strict=False):
            decide(people[who], tasks[key], *said)
    skipped = {"result": [], "was_cancelled": True}
    assert people[TWO].post(f"/api/tasks/{tasks[KEYS[11]]}/annotations/", json=skipped).status_code == 201
    draft = {"result": [], "lead_time": 1}
    assert people[TWO].post(f"/api/tasks/{tasks[KEYS[10]]}/drafts", json=draft).status_code == 201

    for form in ("JSON", "JSON_MIN"):
        path = exported(owner, project, form, tmp_path / f"{form}.json")
        outcome = call("review_apply", run_dir=run.folder, decisions=path)
        assert outcome.code == 0, outcome.err
        # alike 6 of 8; words of one: 1 + 2 label_wrong, 1 model_wrong, 1 exclude, 3 unsure; of the other: 1, 3, 1, 3
        # by chance (3 * 1 + 1 * 3 + 1 * 1 + 3 * 3) / 64 = 1/4, so kappa = (3/4 - 1/4) / (3/4) = 2/3
        assert "two reviewers: 6 of 8 tickets that both decided alike, Cohen's kappa 0.67 [" in outcome.err
        assert "2 disputed, 4 decided by one alone" in outcome.err
        back = {row.ticket_key: row for row in read_rows(run.folder / "review_decisions.jsonl", ReviewDecision)}
        assert set(back) == set(KEYS) - {KEYS[6], KEYS[7]}
        for number, (word, note, reason) in enumerate(SAID[ONE]):
            if KEYS[number] in back:
                said = back[KEYS[number]]
                assert (said.decision, said.note, said.corrected_reason) == (word, note or said.note, reason)
                assert said.reviewer == (f"{ONE}, {TWO}" if number < 6 else ONE)
        assert back[KEYS[2]].note == "同意"
        agreement = read_json(run.folder / "review_agreement.json", ReviewAgreement)
        assert agreement.reviewers == [ONE, TWO]
        assert [row.ticket_key for row in agreement.disputed] == [KEYS[6], KEYS[7]]
    assert "1 skipped" in call("review_apply", run_dir=run.folder, decisions=tmp_path / "JSON.json").err
