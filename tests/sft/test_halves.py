"""The frozen layers below the first that learns run once a batch, for the student and for the base."""

from pathlib import Path

import pytest

from tests.support.builders import call
from tests.support.halving import STUDENT, learnt, rows_with_photos, trainer_on
from tests.support.teaching import config

pytest.importorskip("torch", reason="torch is not installed: `make setup-student` installs it")
pytest.importorskip("peft", reason="peft is not installed: `make setup-student` installs it")


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    return rows_with_photos(tmp_path_factory.mktemp("rows"))


def runs_of_the_lowest_layer(trainer) -> list[int]:
    """A list that grows by one with each run of the lowest language layer."""
    model, seen = trainer.learner.model.get_base_model().model, []
    model.language_model.layers[0].register_forward_pre_hook(lambda *_: seen.append(1))
    return seen


@pytest.mark.parametrize("top_layers", [1, 2, 5])
def test_steps_that_share_the_lower_layers_learn_the_bytes_of_steps_that_run_them_twice(rows, tmp_path, top_layers):
    shared, plain = (
        trainer_on(rows, tmp_path / str(share), share=share, top_layers=top_layers) for share in (True, False)
    )
    assert (shared.learner.share, plain.learner.share) == (True, False)
    for trainer in (shared, plain):
        trainer.train()
    assert shared.history == plain.history and learnt(shared) == learnt(plain)
    assert learnt(shared) != learnt(trainer_on(rows, tmp_path / "untaught", top_layers=top_layers))


def test_the_lowest_layer_runs_once_a_batch_where_it_is_shared_and_twice_where_it_is_not(rows, tmp_path):
    from verdicts.sft.train import Minibatch

    for share, count in ((True, 1), (False, 2)):
        trainer = trainer_on(rows, tmp_path / str(share), share=share)
        batch = Minibatch(trainer.rows, [0, 5], trainer.accelerator.device, ["summary"])
        seen = runs_of_the_lowest_layer(trainer)
        trainer.learner(batch.tensors, batch.kept)
        assert len(seen) == count


def test_a_student_that_learns_where_photos_add_features_runs_every_layer_twice_and_says_so(rows, tmp_path):
    assert not trainer_on(rows, tmp_path, top_layers=6).learner.share  # the miniature has one such layer of six
    told = config(tmp_path / "sft.yaml", STUDENT.resolve(), top_layers=6, keep=["summary"], epochs=0.5)
    outcome = call("sft", config=told, train=rows, val=rows, output_dir=tmp_path / "taught")
    assert outcome.code == 0, outcome.err
    assert "sft: every layer runs twice where rows are kept: the lowest layer that learns (0)" in outcome.err


def test_a_student_whose_attention_drops_out_at_random_is_not_cut(rows, tmp_path):
    from verdicts.sft.halves import Halves

    model = trainer_on(rows, tmp_path).learner.model
    assert Halves(model).why_not == "" and Halves(model).first == 4
    model.get_base_model().config.text_config.attention_dropout = 0.1
    assert "drops out at random" in Halves(model).why_not


def test_a_model_in_which_no_language_layer_learns_has_no_halves(rows, tmp_path):
    from verdicts.sft.halves import Halves

    model = trainer_on(rows, tmp_path).learner.model
    for parameter in model.parameters():
        parameter.requires_grad = False
    with pytest.raises(RuntimeError, match="no language layer learns"):
        Halves(model)
