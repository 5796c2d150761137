"""What frozen layers say of a row is read from disk or computed: the same bytes, and what is learnt from them too."""

import json
from pathlib import Path

import pytest

from tests.support.builders import call
from tests.support.halving import STUDENT, learnt, rows_with_photos, trainer_on
from tests.support.teaching import config, files

pytest.importorskip("torch", reason="torch is not installed: `make setup-student` installs it")
pytest.importorskip("peft", reason="peft is not installed: `make setup-student` installs it")

PLENTY = 10**9


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    return rows_with_photos(tmp_path_factory.mktemp("rows"))


def cached(rows: Path, folder: Path, limit: int = PLENTY, **changes: object):
    from verdicts.sft.row_cache import RowCache

    return trainer_on(rows, folder / "state", cache=RowCache(folder / "cache", limit), **changes)


def taught(trainer) -> dict[str, bytes]:
    trainer.train()
    trainer.frozen.cache.wait()
    return learnt(trainer)


def test_cold_warm_full_and_damaged_caches_teach_the_same_bytes(rows, tmp_path):
    cold = cached(rows, tmp_path / "a")
    bytes_learnt, cache = taught(cold), cold.frozen.cache
    assert cold.plan.steps == 4 and cache.read + cache.made == 16 and 8 <= cache.made < 16  # two epochs of eight rows
    warm = cached(rows, tmp_path / "a")
    assert taught(warm) == bytes_learnt and warm.history == cold.history
    assert (warm.frozen.cache.read, warm.frozen.cache.made) == (16, 0)
    for path in list((tmp_path / "a" / "cache").rglob("*.row"))[:2]:
        path.write_bytes(path.read_bytes()[:-100])
    damaged = cached(rows, tmp_path / "a")
    assert taught(damaged) == bytes_learnt and damaged.frozen.cache.damaged == 2
    full = cached(rows, tmp_path / "b", limit=cache.bytes // 2)
    assert taught(full) == bytes_learnt and full.frozen.cache.not_kept > 0


def test_a_padded_minibatch_of_cached_rows_loses_what_the_same_rows_lose_computed_together(rows, tmp_path):
    import torch

    plain, alone = trainer_on(rows, tmp_path / "plain"), cached(rows, tmp_path)
    for trainer in (plain, alone):  # of one set of weights, no longer the base's
        with torch.no_grad():
            for at, parameter in enumerate(trainer.parameters.values()):
                parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(at)))
    picked = [0, 5, 4, 6, 7]
    losses, gradients = [], []
    for trainer in (plain, alone):
        batch = trainer.minibatch(picked).complete()
        found = trainer.learner(batch.tensors, batch.kept)
        found.sum().backward()
        losses.append(found.detach())
        gradients.append(torch.cat([p.grad.flatten() for p in trainer.parameters.values()]))
    assert "lower" in batch.tensors and batch.kept.any() and not batch.kept.all()
    assert torch.allclose(*losses, rtol=1e-4, atol=1e-5) and losses[0].min() < 1 < losses[0].max()
    assert (gradients[0] - gradients[1]).norm() < 1e-4 * gradients[0].norm()


def test_a_row_alone_has_the_states_of_the_row_among_others(rows, tmp_path):
    import torch

    trainer = cached(rows, tmp_path)
    found = trainer.minibatch([6, 0]).complete().tensors
    together = trainer.rows.encoder.batch([trainer.rows.encode(at) for at in (6, 0)], left=False)
    halves = trainer.learner.halves
    places = halves.places(together)
    lower = halves.lower(together, places)
    for at in range(2):
        ids = int(together["attention_mask"][at].sum())
        assert torch.equal(found["places"][:, at, :ids], places[:, at, :ids])
        assert torch.allclose(found["lower"][at, :ids], lower[at, :ids], rtol=1e-4, atol=1e-5)


def test_a_row_that_is_found_needs_no_photo_decoded_and_a_photo_that_changed_is_another_row(tmp_path, monkeypatch):
    from PIL import Image

    rows = rows_with_photos(tmp_path)
    taught(cached(rows, tmp_path))
    warm = cached(rows, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(warm.rows.encoder, "see", lambda photos: pytest.fail("a photo was decoded"))
        taught(warm)
    Image.effect_noise((256, 192), 90).convert("RGB").save(tmp_path / "0.jpg")
    again = cached(rows, tmp_path)
    taught(again)
    assert again.frozen.cache.made in (1, 2)  # its second turn may come before it is written


def test_other_layers_and_other_rows_to_keep_never_take_states_that_do_not_fit(rows, tmp_path):
    def computed(**changes: object) -> int:
        trainer = cached(rows, tmp_path, epochs=1.0, **changes)
        taught(trainer)
        return trainer.frozen.cache.made

    assert computed(keep=[]) == 8
    assert computed(keep=["summary"]) == 3  # the base's part is missing
    assert computed(keep=[]) == 0
    assert computed(keep=[], top_layers=1) == 8


def test_sft_says_how_many_rows_were_read_and_writes_the_same_bytes(rows, tmp_path):
    knobs = {"keep": ["summary"], "epochs": 1.0, "cache_gb": 0.5, "cache_folder": str(tmp_path / "cache")}
    said = []
    for name in ("cold", "warm"):
        told = config(tmp_path / f"{name}.yaml", STUDENT.resolve(), **knobs)
        outcome = call("sft", config=told, train=rows, val=rows, output_dir=tmp_path / name)
        assert outcome.code == 0, outcome.err
        said.append(next(line for line in outcome.err.splitlines() if "frozen layers of rows" in line))
    assert f"24 times read from {tmp_path / 'cache'}, 0 times computed; " in said[1]
    assert " of 0.5 GB used" in said[1] and "times computed" in said[0]
    assert files(tmp_path / "cold") == files(tmp_path / "warm")
    assert json.loads((tmp_path / "cold" / "metrics.json").read_text())["val"]["chat"]["rows"] == 5


def test_a_cache_that_cannot_serve_is_said(rows, tmp_path):
    told = config(
        tmp_path / "sft.yaml", STUDENT.resolve(), top_layers=6, epochs=0.5, cache_gb=1.0, cache_folder=str(tmp_path)
    )
    outcome = call("sft", config=told, train=rows, val=rows, output_dir=tmp_path / "taught")
    assert outcome.code == 0, outcome.err
    assert "sft: every layer runs twice where rows are kept and sft.cache_gb is not used: " in outcome.err
    assert list(tmp_path.rglob("*.row")) == []
