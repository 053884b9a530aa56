"""`precision`: what is computed in bf16 and what is not, and how `auto` becomes one of the two."""

from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import left, start
from torch import Tensor

from ganworks import data as datasets
from ganworks.plan import choices as plan
from ganworks.random import generator
from ganworks.session import Session, resume
from ganworks.settings import RunSettings, nested, read
from ganworks.training.average import for_sampling, sample
from ganworks.training.engine import Engine

SMALL = {"generator.width": 8, "discriminator.width": 8, "latent.size": 4, "batch": 8}


def session(system: str = "dcgan", **settings: Any) -> Session:
    made = Session(RunSettings(system=system), nested(SMALL | settings))
    random = generator(0, "precision")
    points = system in ("gan", "unrolled")
    x = torch.randn(64, 2, generator=random) if points else torch.rand(64, 1, 16, 16, generator=random) * 2 - 1
    made.open(datasets.open({"x": x}))
    return made


def engine(system: str = "dcgan", **settings: Any) -> Engine:
    return session(system, **settings).begin(steps=10)


def watched(playing: Engine) -> list[tuple[str, torch.dtype]]:
    """Who is on turn and in which numbers D's last linear layer answers, in one round."""
    seen = []
    playing.system.discriminator.head.register_forward_hook(lambda _, __, out: seen.append(out.dtype))
    players = []
    for turn in playing.system.phases()[0].turns:
        playing.round_.begin(0, "game", 0.0)
        playing._update(turn)
        players += [turn.player] * (len(seen) - len(players))
    return list(zip(players, seen, strict=True))


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bf16", torch.bfloat16)])
def test_networks_compute_in_the_precision_of_the_settings(precision: str, dtype: torch.dtype) -> None:
    seen = watched(engine(precision=precision))
    assert seen == [("discriminator", dtype), ("discriminator", dtype), ("generator", dtype)]


@pytest.mark.parametrize("system", ["gan", "dcgan", "r3gan", "wgan_gp"])
def test_what_is_kept_is_float32(system: str) -> None:
    playing = engine(system, precision="bf16")
    terms = [playing.round() for _ in range(2)][-1]
    assert {value.dtype for value in terms.values()} == {torch.float32}
    assert {value.dtype for value in playing.state().values()} == {torch.float32, torch.int64}


def test_gradients_are_those_of_float32_up_to_rounding() -> None:
    """bf16 keeps 8 bits, a relative error of 2⁻⁹ a number; a wrong cast or a lost graph would be off by far more."""
    found = []
    for precision in ("float32", "bf16"):
        playing = engine(precision=precision)
        playing.round_.begin(0, "game", 0.0)
        for turn in playing.system.phases()[0].turns:
            playing.round_.begin_update(turn.player, 0)
            playing._backward(playing.players[turn.player], turn)
            found.append(playing.movers[turn.player].flat.clone())
    for whole, half in (found[::2], found[1::2]):
        assert 0 < (whole - half).norm() < 0.05 * whole.norm()


def test_penalties_are_float32() -> None:
    """R1 sees real samples only, so that at the same weights it is the same to the bit; the loss of fakes is not."""
    whole, half = (engine(precision=each, **{"objective.r1": 1.0}).round() for each in ("float32", "bf16"))
    assert torch.equal(whole["discriminator.r1"], half["discriminator.r1"])
    assert not torch.equal(whole["generator.adversarial"], half["generator.adversarial"])
    dtypes = {dtype for player, dtype in watched(engine(precision="bf16", **{"objective.r1": 1.0}))}
    assert dtypes == {torch.float32, torch.bfloat16}


def test_an_update_without_a_lazy_penalty_is_bf16() -> None:
    playing = engine(precision="bf16", **{"objective.r1": 1.0, "objective.every": 2})
    assert {dtype for player, dtype in watched(playing)} == {torch.bfloat16}
    assert dict(watched(playing))["discriminator"] == torch.float32


def test_a_look_ahead_is_float32() -> None:
    playing = engine("unrolled", precision="bf16", **{"turns.unroll": 2})
    seen = watched(playing)
    assert {dtype for player, dtype in seen if player == "discriminator"} == {torch.bfloat16}
    assert {dtype for player, dtype in seen if player == "generator"} == {torch.float32}


def test_samples_are_float32() -> None:
    half, whole = engine(precision="bf16"), engine(precision="float32")
    half.round()
    whole.load(half.state())
    drawn: list[Tensor] = [sample(for_sampling(each.system, each.average, 0), 8, 0)["x"] for each in (half, whole)]
    assert torch.equal(*drawn)


# How `auto` is resolved.


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_COMPARED", 0.2)
    monkeypatch.setattr(plan, "halves", lambda: True)


def priced(monkeypatch: pytest.MonkeyPatch, float32: float, bf16: float) -> None:
    """Let rounds cost what the test wants; they are played all the same."""
    cost = plan.cost

    def invented(playing: Engine, rounds: int) -> float:
        cost(playing, rounds)
        return bf16 if playing.system.settings.precision == "bf16" else float32

    monkeypatch.setattr(plan, "cost", invented)


@pytest.mark.parametrize(
    ("float32", "bf16", "chosen"), [(1.0, 0.6, "bf16"), (1.0, 0.95, "float32"), (1.0, 2.0, "float32")]
)
def test_auto_takes_bf16_where_it_pays(quick, monkeypatch, tmp_path: Path, float32, bf16, chosen) -> None:
    """And the run is what it had been with that setting, to the bit: the measurement leaves no trace."""
    priced(monkeypatch, float32, bf16)
    run = start(tmp_path / "auto", "dcgan", 6, precision="auto").run
    assert read(run / "config.toml")["precision"] == chosen
    assert f"precision {chosen}: a step takes" in (run / "log.txt").read_text()
    assert left(run) == left(start(tmp_path / "given", "dcgan", 6, precision=chosen).run)


def test_a_resume_takes_what_was_chosen(quick, monkeypatch, tmp_path: Path) -> None:
    priced(monkeypatch, 1.0, 0.5)
    whole = start(tmp_path / "whole", "dcgan", 8, precision="auto").run
    part = start(tmp_path / "part", "dcgan", 8, precision="auto", checkpoint_every=4).run
    (part / "checkpoints" / "000008" / "state.safetensors").unlink()
    priced(monkeypatch, 1.0, 2.0)  # now it would be chosen otherwise
    resume(part)
    assert left(part)["state"] == left(whole)["state"]


def test_without_bf16_nothing_is_measured(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(plan, "halves", lambda: False)
    monkeypatch.setattr(plan, "cost", None)
    run = start(tmp_path / "run", "dcgan", 2, precision="auto").run
    assert read(run / "config.toml")["precision"] == "float32"
    assert "this processor has no bf16" in (run / "log.txt").read_text()


def test_a_second_training_measures_again(quick, monkeypatch) -> None:
    """What was chosen for one data set is not a setting of the next."""
    playing = session(precision="auto")
    for price, chosen in ((0.5, "bf16"), (2.0, "float32")):
        priced(monkeypatch, 1.0, price)
        assert playing.begin(steps=2).system.settings.precision == chosen


def test_the_default_number_of_steps_is_the_same_in_every_precision(quick) -> None:
    steps = {session(precision=each).begin().steps for each in ("float32", "bf16", "auto")}
    assert len(steps) == 1


def test_the_processor_is_asked(monkeypatch) -> None:
    for able, expected in (
        ({"amx_bf16": False, "avx512_bf16": True}, True),
        ({"amx_bf16": False, "avx2": True}, False),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: able, raising=False)
        assert plan.halves() is expected
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert plan.halves() is False
