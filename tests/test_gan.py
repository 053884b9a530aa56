"""The facade and the session behind it: what a notebook, a script and the command ask for."""

import numpy as np
import pytest
import torch

from ganworks.errors import DataError, UsageError
from ganworks.gan import GAN, Order, resume, train
from ganworks.settings import read

POINTS = np.random.default_rng(0).normal(5.0, 3.0, (300, 2)).astype("float32")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_single_steps_return_the_recorded_terms_and_write_nothing(tmp_path):
    gan = GAN("gan").start("ring", seed=0, steps=10)
    assert set(gan.turn("discriminator")) == {"discriminator.adversarial"}
    assert set(gan.round()) == {"discriminator.adversarial", "generator.adversarial"}
    assert gan.system.discriminator is not None
    assert list(tmp_path.iterdir()) == []


def test_a_turn_moves_one_player_and_counts_no_step():
    gan = GAN("gan").start("ring", seed=0, steps=10)
    before = {name: tensor.clone() for name, tensor in gan.system.state_dict().items()}
    gan.turn("discriminator")
    after = gan.system.state_dict()
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"discriminator"}
    assert gan._session.engine.step == 0


def test_samples_follow_the_weights_after_a_turn():
    gan = GAN("gan", **{"average.half_life": 0.0}).start("ring", seed=0, steps=10)
    before = gan.sample(4)
    gan.turn("generator")
    assert not torch.equal(before, gan.sample(4))


def test_an_unknown_player_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match=r"discriminator, generator"):
        GAN("gan").start("ring", steps=10).turn("critic")


@pytest.mark.parametrize("ask", [lambda gan: gan.sample(1), lambda gan: gan.round(), lambda gan: gan.save("x")])
def test_nothing_trained_is_said_in_words(ask):
    with pytest.raises(UsageError, match="E-USE-05"):
        ask(GAN("gan"))


def test_names_and_values_are_judged_before_any_data_is_opened():
    with pytest.raises(UsageError, match=r"objective\.loss"):
        GAN("gan", **{"objective.los": "hinge"})
    with pytest.raises(UsageError, match="E-NAME-01"):
        GAN("wgan_pg")
    with pytest.raises(UsageError, match="E-SET-01"):
        train(Order(data="nowhere", overrides={"batch": 0}))


def test_a_system_refuses_data_that_it_cannot_play_with():
    with pytest.raises(UsageError, match="dcgan takes images"):
        GAN("dcgan").start("ring")


def test_arrays_are_trained_on_in_their_own_units(tmp_path):
    gan = GAN("r3gan").fit(POINTS, steps=400, run=tmp_path / "run")
    samples = gan.sample(2000)
    assert samples.shape == (2000, 2)
    assert abs(float(samples.mean()) - 5.0) < 1.0  # standardised inside: raw networks would still be near 0
    assert 1.5 < float(samples.std()) < 4.5


def test_a_run_on_arrays_resumes_with_the_same_arrays_only(tmp_path):
    GAN("gan").fit(POINTS, steps=4, run=tmp_path / "run")
    with pytest.raises((DataError, UsageError)):
        resume(tmp_path / "run", steps=6)
    with pytest.raises(DataError, match="E-DATA-11"):
        resume(tmp_path / "run", steps=6, data=POINTS + 1)
    assert resume(tmp_path / "run", steps=6, data=POINTS).step == 6


def test_an_existing_run_folder_is_never_written_to(tmp_path):
    (tmp_path / "run").mkdir()
    for start in (lambda: train(Order(data="ring", run=tmp_path / "run")), lambda: GAN().fit("ring", run="run")):
        with pytest.raises(UsageError, match="E-RUN-01"):
            start()
    assert list((tmp_path / "run").iterdir()) == []


def test_settings_come_from_the_file_then_set_then_own_options(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('data = "ring"\nsystem = "gan"\nsteps = 3\nbatch = 16\n[objective]\nloss = "hinge"\n')
    overrides = {"objective.loss": "least_squares", "record.every": 1}
    result = train(Order(config=path, overrides=overrides, batch=32, run=tmp_path / "run"))
    written = read(tmp_path / "run" / "config.toml")
    assert result.step == 3
    assert (written["batch"], written["objective"]["loss"], written["system"]) == (32, "least_squares", "gan")


def test_the_written_settings_run_again_to_the_same_bits(tmp_path):
    first = train(Order(data="ring", system="gan", steps=5, seed=4, run=tmp_path / "a"))
    second = train(Order(config=first.run / "config.toml", run=tmp_path / "b"))
    states = [run / "checkpoints" / "000005" / "state.safetensors" for run in (first.run, second.run)]
    assert states[0].read_bytes() == states[1].read_bytes()
    assert (first.run / "config.toml").read_text() == (second.run / "config.toml").read_text()


def test_time_becomes_steps_once_and_leaves_no_trace(tmp_path):
    timed = train(Order(data="ring", system="gan", time=0.3, run=tmp_path / "timed"))
    steps = read(timed.run / "config.toml")["steps"]
    assert timed.step == steps > 1
    counted = train(Order(data="ring", system="gan", steps=steps, run=tmp_path / "counted"))
    states = [run / "checkpoints" / f"{steps:06d}" / "state.safetensors" for run in (timed.run, counted.run)]
    assert states[0].read_bytes() == states[1].read_bytes()


def test_the_default_length_depends_on_no_clock():
    lengths = {GAN("gan").start("ring")._session.run.steps for _ in range(2)}
    assert len(lengths) == 1


def test_a_short_run_ends_with_scores_beside_their_floor(tmp_path):
    result = train(Order(data="digits", steps=2, run=tmp_path / "run"))
    scores = {score.metric: score for score in result.scores}
    assert {"kernel_distance", "recall", "class_kl"} <= set(scores)
    assert scores["kernel_distance"].value > scores["kernel_distance"].real
    assert scores["recall"].feature_space == "digits"
    assert result.grid.is_file()
    assert len(result.next) == 3


def test_scores_of_data_it_was_not_trained_on_have_no_floor():
    gan = GAN("gan").start(POINTS, steps=10)
    assert all(score.real is not None for score in gan.score(samples=40))
    assert all(score.real is None for score in gan.score(POINTS * 2, samples=40))


def test_what_suits_one_kind_of_data_is_not_refused_for_what_another_wants() -> None:
    """The default moves at once on pictures and in turns on points: epochs go with turns only."""
    gan = GAN("r3gan", **{"turns.unit": "epochs", "batch": 50_000}).start("ring", steps=2)
    gan.round()
    with pytest.raises(UsageError, match=r"turns\.simultaneous"):
        GAN("r3gan", **{"turns.unit": "epochs"}).start("digits", steps=2)
    with pytest.raises(UsageError, match=r"turns\.simultaneous"):
        GAN("dcgan", **{"turns.unit": "epochs", "turns.simultaneous": True})
