"""Dockerfile and compose.yaml: what set-up reads is in the image, and commands of the docs name what is there.

That the image builds and runs is seen by building and running it (docs/setup.md); this needs no container engine.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LINES = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
ARGS = dict(re.findall(r"^ARG (\w+)=(.*)$", "\n".join(LINES), re.MULTILINE))
STAGES = re.findall(r"^FROM \S+ AS (\w+)$", "\n".join(LINES), re.MULTILINE)
LAST = LINES[max(at for at, line in enumerate(LINES) if line.startswith("FROM ")) :]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SETUP_PAGE = (ROOT / "docs/setup.md").read_text(encoding="utf-8")


def copied_before_set_up() -> set[str]:
    """Files of the repository that the image holds when set-up runs in it."""
    end = next(at for at, line in enumerate(LINES) if "make -f make/setup.mk" in line)
    return {name for line in LINES[:end] if line.startswith("COPY ") for name in line.split()[1:-1]}


def test_set_up_in_the_image_has_every_file_that_it_reads(tmp_path):
    copied = copied_before_set_up()
    (tmp_path / "make").mkdir()
    for name in copied:
        shutil.copy(ROOT / name, tmp_path / name)
    named = {
        f"make/{name}"
        for path in (tmp_path / "make").iterdir()
        for name in re.findall(r"\b[a-z_]+\.(?:py|cmake|mk)\b", path.read_text(encoding="utf-8"))
    }
    assert {name for name in named if (ROOT / name).exists()} <= copied
    for script in sorted((tmp_path / "make").glob("setup*.py")):  # its imports are there
        subprocess.run([sys.executable, script, "--help"], check=True, capture_output=True, cwd=tmp_path)


def test_bases_are_pinned_by_digest_and_the_last_stage_is_not_root():
    bases = {name: value for name, value in ARGS.items() if name.endswith("BASE")}
    assert len(bases) == 2
    for name, value in bases.items():
        assert re.fullmatch(r"docker\.io/\S+:\S+@sha256:[0-9a-f]{64}", value), name
    users = [line.split()[1] for line in LAST if line.startswith("USER ")]
    assert users and not re.match(r"root|0(?!\d)", users[-1])


def test_the_image_leaves_out_no_file_of_the_repository():
    if not (ROOT / ".git").exists():
        pytest.skip("no git repository here to ask for its files")
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]

    def ignored(name: str) -> bool:
        out = False
        for rule in rules:
            pattern = rule.removeprefix("!").removeprefix("**/")
            depth = None if "**/" in rule else pattern.count("/")  # a pattern without **/ is one of the root's
            places = (PurePosixPath(name), *PurePosixPath(name).parents)
            if any(part.match(pattern) and depth in (None, str(part).count("/")) for part in places):
                out = not rule.startswith("!")
        return out

    assert ignored("runs/demo/x") and ignored("data/bbu_line/stage_a.jsonl"), "the rules are read"
    assert [name for name in tracked if ignored(name)] == []


def test_every_folder_that_compose_mounts_to_be_written_is_open_to_any_user_in_the_image():
    opened = set(re.search(r"chmod 1777 (.*)", "\n".join(LAST)).group(1).split())
    for name, service in COMPOSE["services"].items():
        written = {volume["target"] for volume in service["volumes"] if not volume.get("read_only")}
        assert {f"/app/{folder}" for folder in opened} <= written, name
        assert {folder.removeprefix("/app/") for folder in written} - opened == {"configs"}, name
        assert set(service["build"].get("args", {})) <= set(ARGS) if isinstance(service["build"], dict) else True
    assert {volume["source"] for volume in service["volumes"] if volume["type"] == "volume"} == set(COMPOSE["volumes"])
    (device,) = COMPOSE["services"]["gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"] and "deploy" not in COMPOSE["services"]["cpu"]


def test_commands_of_the_docs_name_arguments_stages_services_and_targets_that_are_there():
    commands = re.findall(r"^(?:docker|buildah|podman) .*$", SETUP_PAGE, re.MULTILINE)
    text = "\n".join(commands)
    assert set(re.findall(r"--build-arg (\w+)=", text)) <= set(ARGS)
    assert set(re.findall(r"--target (\w+)", text)) <= set(STAGES)
    shown = (ROOT / "Makefile").read_text() + "".join(path.read_text() for path in (ROOT / "make").glob("*.mk"))
    targets = set(re.findall(r"^([a-z][a-z-]*):.*## ", shown, re.MULTILINE))
    run = re.findall(r"^(?:docker|podman) run .* ticket-verdicts\S* ([a-z-]+)", text, re.MULTILINE)
    composed = re.findall(r"^docker compose run --rm (?:-p \S+ )?(\w+) ([a-z-]+)", text, re.MULTILINE)
    assert len(run) >= 3 and set(run) | {goal for _, goal in composed} <= targets
    assert {service for service, _ in composed} == set(COMPOSE["services"])
