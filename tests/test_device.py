"""Playing beside the processor: draws that are the same everywhere, what is refused, and all systems on a GPU."""

import pytest
import torch
from house import STEPS, differing, engine, played
from test_house import CASES, over

from ganworks import machine, model
from ganworks.data.spec import Batch
from ganworks.errors import ResourceError
from ganworks.gan import GAN
from ganworks.random import Streams
from ganworks.session import Order, resume, train
from ganworks.session.conduct import computing
from ganworks.training.average import for_sampling, sample

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


def test_draws_and_batches_go_to_the_device():
    random = Streams((0,), 4, device="meta").at(0)
    for drawn in (random.normal("z", 2), random.uniform("u"), random.integers("n", 5)):
        assert drawn.is_meta
    assert not Batch({"x": torch.zeros(2)}).to("cpu")["x"].is_meta
    assert Batch({"x": torch.zeros(2)}).to("meta")["x"].is_meta


@pytest.mark.parametrize("name", ["nowhere", "cuda:7", "cpu:0", ""])
def test_a_device_that_is_not_here_is_refused_before_anything_is_written(name, tmp_path):
    with pytest.raises(ResourceError, match=f"the device '{name}' is not here") as caught:
        train(Order(data="ring", system="gan", steps=1, run=tmp_path / "run", device=name))
    assert caught.value.code == "E-ENV-06"
    assert "cpu" in caught.value.remedy
    assert not (tmp_path / "run").exists()


def test_the_device_is_a_setting_of_the_run(tmp_path):
    train(Order(data="ring", system="gan", steps=1, run=tmp_path / "run", device="cpu"))
    assert 'device = "cpu"' in (tmp_path / "run" / "config.toml").read_text()


def test_work_counts_the_threads_that_feed_a_device():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        begun, passed = machine.work("cuda"), machine.work("cuda")
    finally:
        torch.set_num_threads(before)
    assert 0 <= passed - begun < 1


@on_a_gpu
@over(CASES)
def test_a_gpu_plays_the_same_game(name, kind):
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        here, there = (engine(name, kind, device=device) for device in ("cpu", "cuda"))
        for _ in range(2 if here.players else 0):
            ours, theirs = here.round(), there.round()
            for term, value in ours.items():
                assert theirs[term].cpu().item() == pytest.approx(value.item(), rel=1e-6, abs=1e-9), term
        ours, theirs = here.state(), there.state()
        for tensor_name, tensor in ours.items():
            torch.testing.assert_close(theirs[tensor_name], tensor, rtol=1e-5, atol=1e-7)
    finally:
        torch.set_default_dtype(before)


@on_a_gpu
@over(CASES)
def test_a_gpu_resumes_to_the_same_bits(name, kind):
    with computing(1, "cuda"):
        assert differing(played(name, kind, device="cuda"), played(name, kind, 3, device="cuda")) == []


@on_a_gpu
@over(CASES)
def test_samples_of_a_game_on_a_gpu_are_made_on_the_cpu(name, kind):
    playing = engine(name, kind, device="cuda")
    for _ in range(STEPS if playing.players else 0):
        playing.round()
    drawn = sample(for_sampling(playing.system, playing.average, 0), 3, 0)
    assert all(values.device.type == "cpu" for values in drawn.values())


@on_a_gpu
@pytest.mark.parametrize(("system", "data"), [("r3gan", "ring"), ("stylegan2", "digits"), ("biggan", "digits")])
def test_a_whole_run_on_a_gpu(system, data, tmp_path):
    small = {"generator.width": 8, "discriminator.width": 8, "batch": 8}
    order = {"data": data, "system": system, "device": "cuda", "overrides": small}
    whole = train(Order(run=tmp_path / "whole", steps=20, **order))
    train(Order(run=tmp_path / "part", steps=20, **order), [stopper(tmp_path / "part")])
    part = resume(tmp_path / "part")
    assert whole.step == part.step == 20
    assert "probe" not in (tmp_path / "whole" / "log.txt").read_text(), "a probe failed"
    weights = [model.load(tmp_path / run).still.state_dict() for run in ("whole", "part")]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def stopper(run):
    """Asks for a stop after the first record."""
    return lambda record: (run / "request").write_text("stop") if record.get("step") == 1 else None


@on_a_gpu
def test_a_model_that_plays_on_a_gpu_can_be_used(tmp_path):
    gan = GAN("acgan", **{"generator.width": 8, "discriminator.width": 8}).start("digits", steps=5, device="cuda")
    gan.round()
    pictures = gan.sample(4)
    gan.save(tmp_path / "gan")
    assert torch.equal(GAN.load(tmp_path / "gan").sample(4), pictures)
    assert gan.classify(pictures).shape == (4, 10)
    assert gan.features(pictures).device.type == "cpu"
