"""The house test: what every registered system owes the engine, from the first day on.

Resume to the same bits, gradients for its own weights only, halves of a batch that make a whole, samples that depend on
seed and number alone, state in buffers and nowhere else.
"""

import copy
from pathlib import Path

import pytest
import torch
from house import OF_SAMPLES, STEPS, data, differing, engine, everything_saved_is_needed, given, halves_agree, played

from ganworks import systems
from ganworks.errors import TrainingError
from ganworks.game import owned
from ganworks.settings import build, dump, read
from ganworks.training.average import for_sampling, sample

KINDS = ("points", "images", "pairs", "domains")
CASES = [(name, kind) for name in systems.names() for kind in KINDS if kind in systems.get(name).accepts]


def over(cases):
    return pytest.mark.parametrize(("name", "kind"), cases, ids=[f"{name}-{kind}" for name, kind in cases])


everywhere = over(CASES)
where_it_is_played = over([case for case in CASES if case[0] != "mixture"])  # all its work is done before the game
where_there_is_a_discriminator = over([case for case in CASES if case[0] not in ("vae", "mixture")])


@everywhere
@pytest.mark.parametrize("cut", [1, 3, 5])
def test_resumes_to_the_same_bits(name, kind, cut):
    assert differing(played(name, kind), played(name, kind, cut)) == []


@everywhere
def test_everything_saved_is_needed(name, kind):
    everything_saved_is_needed(name, kind)


@everywhere
def test_state_shares_no_memory(name, kind):
    playing = engine(name, kind)
    playing.round()
    places = [tensor.untyped_storage().data_ptr() for tensor in playing.state().values()]
    assert len(set(places)) == len(places)


@where_it_is_played
def test_a_player_gets_gradients_for_all_its_own_weights_and_no_others(name, kind):
    playing = engine(name, kind)
    reached: dict[str, set[str]] = {player: set() for player in playing.players}
    for _ in range(STEPS):
        playing.round()
    system = playing.system
    mine = {player: owned(system, each) for player, each in playing.players.items()}
    for phase in system.phases():
        playing.round_.begin(playing.step, phase.name, 0.0)
        system.begin(playing.round_)
        for turn in phase.turns:
            for update in range(8):  # lazy penalties are due once in 8
                playing.round_.begin_update(turn.player, update, shared=phase.simultaneous)
                for mover in playing.movers.values():
                    mover.flat.fill_(0.0)
                playing._backward(playing.players[turn.player], turn, retain=True)
                for player, mover in playing.movers.items():
                    if player != turn.player:
                        assert not mover.flat.any(), f"{turn.player}'s turn left a gradient on {player}'s weights"
                reached[turn.player] |= {each for each, weight in mine[turn.player].items() if weight.grad.any()}
    for player, weights in mine.items():
        missing = set(weights) - reached[player]
        # D's last biases cancel in a difference of logits.
        missing = {each for each in missing if not (player == "discriminator" and each.endswith("head.bias"))}
        assert not missing, f"no gradient ever reached {missing}"
    frozen = [p for n, p in system.named_parameters() if not any(n in weights for weights in mine.values())]
    assert all(not p.requires_grad for p in frozen)


@where_it_is_played
def test_two_halves_give_the_gradients_of_the_whole(name, kind):
    halves_agree(name, kind, **OF_SAMPLES.get(name, {}))


@everywhere
def test_settings_survive_a_file(name, kind, tmp_path):
    made = systems.get(name)
    settings = build(made.Settings, made.suited(data(kind).spec))
    path = tmp_path / "settings.toml"
    path.write_text(dump(settings))
    assert build(made.Settings, read(path)) == settings


@everywhere
def test_ten_samples_are_the_head_of_sixty_four(name, kind):
    playing = engine(name, kind)
    playing.round()
    still = for_sampling(playing.system, playing.average, 0)
    many = sample(still, 64, 5, **given(playing, 64))["x"]
    for count in (1, 10, 33):
        assert torch.equal(sample(still, count, 5, **given(playing, count))["x"], many[:count])
    if "to" not in playing.system.conditions:  # those have no noise
        assert not torch.equal(sample(still, 10, 6, **given(playing, 10))["x"], many[:10])
    again = for_sampling(playing.system, playing.average, 0)
    assert torch.equal(sample(again, 64, 5, **given(playing, 64))["x"], many)


@everywhere
def test_sampling_leaves_no_trace(name, kind):
    playing = engine(name, kind)
    playing.round()
    before, random = playing.state(), torch.get_rng_state()
    sample(for_sampling(playing.system, playing.average, 0), 5, 0, **given(playing, 5))
    assert differing(before, playing.state()) == []
    assert torch.equal(random, torch.get_rng_state())
    assert playing.system.training


@where_it_is_played
def test_a_batch_that_is_not_finite_changes_nothing_that_after_owns(name, kind):
    playing = engine(name, kind)
    playing.round()
    before = copy.deepcopy(playing.state())
    for key, column in playing._data.columns.items():
        playing._data.columns[key] = torch.full_like(column, float("nan")) if column.is_floating_point() else column
    with pytest.raises(TrainingError, match=r"E-TRAIN-01.* step 2") as caught:
        playing.round()
    assert next(iter(playing.players)) in str(caught.value)
    norms = ("running_mean", "running_var", "num_batches_tracked", ".u")  # the one kind of layer that writes in forward
    changed = [each for each in differing(before, playing.state()) if not each.endswith(norms)]
    assert changed == ["counter/reads"]


@where_there_is_a_discriminator
def test_a_value_made_once_does_not_depend_on_players_it_does_not_use(name, kind):
    values = []
    for scale in (1.0, 2.0):
        playing = engine(name, kind)
        playing.round_.begin(0, "game", 0.0)
        with torch.no_grad():
            for parameter in playing.system.discriminator.parameters():
                parameter.mul_(scale)
        playing.round_.begin_update("discriminator", 0)
        playing.players["discriminator"].loss(playing.round_)
        values.append([value for value, uses in playing.round_._once.values() if "discriminator" not in uses])
    for one, other in zip(*values, strict=True):
        assert torch.equal(one, other)


def test_systems_and_files_agree():
    folder = Path(systems.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert files == set(systems.names())
    assert all(systems.get(name).name == name for name in files)
