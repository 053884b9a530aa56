"""Systems in the house test: small, on small data, played to the end, interrupted, spoilt, halved."""

import torch
from torch import Tensor, nn

from ganworks import data as datasets
from ganworks import systems
from ganworks.data.dataset import Content, DataSet
from ganworks.data.dataset import build as build_data
from ganworks.random import generator
from ganworks.settings import build, fit, keys, nested
from ganworks.training.average import for_sampling, sample
from ganworks.training.engine import Engine

STEPS = 7
SMALL = {
    "generator.width": 8,
    "discriminator.width": 8,
    "latent.size": 4,
    "batch": 8,
    "average.half_life": 100.0,
    "generator.betas": [0.5, 0.9],  # with β₁ = 0, as some papers have it, the first moment would be redundant
    "discriminator.betas": [0.5, 0.9],
}
SMALL_OF = {
    # Narrower bounds let the slopes of all eight units agree on every sample, and their biases cancel.
    "wgan": {"turns.eager": 3, "turns.discriminator": 2, "objective.clip": 0.5},
    "unrolled": {"turns.unroll": 2},
    "lapgan": {"units": 8},
    # Cuts before, in and after the first fade.
    "progressive": {"growing": 1.0},
    # z of four numbers in three parts; attention after the first block.
    "biggan": {"code": 4, "attention": 8},
    # The paper's terms, which small pictures do without; path lengths in every second round.
    "stylegan2": {
        "mixing": 0.9,
        "path_length": 2.0,
        "path_every": 2,
        "objective.loss": "non_saturating",
        "objective.r2": 0.0,
        "objective.every": 16,
    },
    "vae": {"autoencoder.width": 8, "autoencoder.betas": [0.5, 0.9]},
    "mixture": {"most": 2, "directions": 4, "starts": 1, "rounds": 5},
}
"""Fewer updates for systems that make many."""
OF_SAMPLES = {
    # An imagined update would need the other half's gradient too: a look-ahead is for one process.
    "unrolled": {"turns.unroll": 0},
    # And so would a mean over the batch: see `WHOLE`.
    "semisupervised": {"objective.feature_matching": 0.0},
}
"""What is left out where two halves of a batch are to make a whole."""

REDUNDANT = ("num_batches_tracked", "growth.level", "growth.alpha")
"""Saved tensors that no later step reads: with a fixed momentum batch norm ignores how many batches it has seen, and
how far a system has grown follows from the step; samples read it.
"""


def data(kind: str) -> DataSet:
    random = generator(0, "house")
    if kind == "points":
        return datasets.open({"x": torch.randn(64, 2, generator=random), "label": torch.arange(64) % 4})
    x = torch.rand(64, 1, 16, 16, generator=random) * 2 - 1
    if kind == "pairs":
        target = torch.rand(64, 3, 16, 16, generator=random) * 2 - 1
        return build_data(Content("house", kind, {"source": x, "target": target}))
    domains = 2 if kind == "domains" else 4
    labelled = datasets.open({"x": x, "label": torch.arange(64) % domains})
    return datasets.open(labelled.columns, kind=kind) if kind == "domains" else labelled


def given(playing: Engine, count: int) -> dict[str, Tensor]:
    """What the samples of a translator are made of."""
    if "source" not in playing.system.conditions:
        return {}
    return playing.system.given(playing._data.rows(torch.arange(count)))


def engine(name: str, kind: str, rows: slice | None = None, device: str = "cpu", **settings) -> Engine:
    rows_of = data(kind)
    made = systems.get(name)
    known = {key for key, _ in keys(made.Settings)}  # a system without a game has no use for most of them
    usual = {key: value for key, value in SMALL.items() if key in known}
    small = fit(made.Settings, nested({**usual, **SMALL_OF.get(name, {}), **settings}))
    torch.manual_seed(1)
    system = made(build(made.Settings, made.suited(rows_of.spec), small), rows_of.spec)
    if kind != "points":
        system = system.to(memory_format=torch.channels_last)
    for key, column in rows_of.columns.items():
        rows_of.columns[key] = column.to(torch.get_default_dtype()) if column.is_floating_point() else column
    torch.manual_seed(2)
    system.prepare(rows_of)
    return Engine(system, rows_of, seed=3, steps=STEPS, rows=rows, device=device)


def played(name: str, kind: str, cut: int | None = None, change=None, **settings) -> dict[str, Tensor]:
    """The state after all steps, perhaps interrupted, perhaps with a fault put into what was saved."""
    playing = engine(name, kind, **settings)
    while playing.step < STEPS:
        if playing.step == cut:
            cut = None  # a fault in the step counter leads past here again
            state = playing.state()
            if change is not None:
                change(state)
            playing = resumed(state, name, kind, **settings)
        playing.round()
        torch.rand(1)  # whoever draws between rounds must not matter
        playing.system.eval()
        sample(for_sampling(playing.system, playing.average, 0), 3, 0, **given(playing, 3))
        playing.system.train()
    return playing.state()


def resumed(state: dict[str, Tensor], name: str, kind: str, **settings) -> Engine:
    """An engine that knows nothing but a state, as in a fresh process."""
    torch.manual_seed(99)  # which starts from another state of the default generator
    playing = engine(name, kind, **settings)
    for parameter in playing.system.parameters():
        nn.init.normal_(parameter)  # nothing may survive from the initial weights
    playing.load(state)
    return playing


def differing(one: dict[str, Tensor], other: dict[str, Tensor]) -> list[str]:
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])]


def everything_saved_is_needed(name: str, kind: str, **settings) -> None:
    """Each saved tensor set to zero must change what follows."""
    playing = engine(name, kind, **settings)
    while playing.step < 3:
        playing.round()
    saved = playing.state()
    whole = two_more_rounds(playing)
    # A last bias may have a gradient of exactly zero (the Wasserstein and the relativistic losses ignore a constant).
    moved = [each for each, tensor in saved.items() if tensor.any() and not each.endswith(REDUNDANT)]
    # One run per tensor is the proof; groups of tensors of one sort are checked by one of them to keep it quick.
    sorts: dict[str, str] = {}
    for each in moved:
        group, rest = each.split("/", 1)
        slot = rest.rsplit(".", 1)[-1]
        sorts.setdefault(f"{group} {rest.split('.')[0].split('/')[-1]} {slot}", each)
    for each in sorts.values():
        state = {**saved, each: torch.zeros_like(saved[each])}
        assert differing(whole, two_more_rounds(resumed(state, name, kind, **settings))), f"nothing depends on {each}"


def two_more_rounds(playing: Engine) -> dict[str, Tensor]:
    for _ in range(2):
        playing.round()
    return playing.state()


def halves_agree(name: str, kind: str, **settings) -> None:
    whole, *parts = (engine(name, kind, rows=rows, **settings) for rows in (None, slice(0, 4), slice(4, 8)))
    for playing in (whole, *parts):
        for module in playing.system.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.eval()  # its statistics are the one thing that halves cannot have on their own
        playing.round_.begin(0, "game", 0.0)
    for turn in whole.system.phases()[0].turns:
        gradients = []
        for playing in (whole, *parts):
            playing.round_.begin_update(turn.player, 7, shared=True)
            playing._backward(playing.players[turn.player], turn, retain=True)
            gradients.append(playing.movers[turn.player].flat.clone())
        difference = (gradients[1] + gradients[2]) / 2 - gradients[0]
        assert gradients[0].norm() > 0
        assert difference.norm() / gradients[0].norm() < 1e-5
