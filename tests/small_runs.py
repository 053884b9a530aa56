"""Runs of a second: every system on its data, with networks as small as they come, and what a run leaves."""

import json
import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ganworks.session import Order, Result, train

_PLAYERS = {"generator.width": 4, "discriminator.width": 4, "latent.size": 4, "batch": 4}
SYSTEMS: dict[str, tuple[str, dict[str, Any]]] = {
    "gan": ("ring", _PLAYERS | {"view.noise": 0.1}),
    "r3gan": ("digits", _PLAYERS | {"objective.every": 3}),
    "dcgan": ("digits", _PLAYERS),
    "lsgan": ("ring", _PLAYERS | {"view.replay": 6, "objective.lecam": 0.1}),
    "wgan": ("ring", _PLAYERS | {"turns.discriminator": 1, "turns.eager": 2}),
    "wgan_gp": ("ring", _PLAYERS | {"turns.discriminator": 2}),
    "sngan": ("digits", _PLAYERS | {"turns.discriminator": 1, "precision": "bf16"}),
    "unrolled": ("ring", _PLAYERS | {"turns.unroll": 1}),
    "conditional": ("digits", _PLAYERS | {"objective.every": 3}),
    "semisupervised": ("ring", _PLAYERS | {"labelled": 8}),
    "progressive": ("digits", _PLAYERS | {"growing": 0.8}),
    "biggan": ("digits", _PLAYERS | {"code": 4, "attention": 14}),
    "acgan": ("ring", _PLAYERS),
    "infogan": ("ring", _PLAYERS),
    "bigan": ("ring", _PLAYERS),
    "lapgan": ("digits", _PLAYERS | {"units": 8}),
    "stylegan2": (
        "digits",
        _PLAYERS | {"view.augment": ["translate"], "view.adaptive": 0.6, "mixing": 0.5, "path_length": 2.0},
    ),
    "vae": ("ring", {"autoencoder.width": 4, "latent.size": 4, "batch": 4}),
}
"""Between them: dropout of noise, lazy penalties, channels-last convolutions, batch statistics, two updates of D, old
fakes, running means, other numbers of updates, singular vectors, half precision, a look-ahead, labels, phases with a
fresh optimizer, a mean path length, mean styles, augmentation that adapts, a single player.
"""

Watcher = Callable[[Mapping[str, Any]], None]


def start(run: Path, system: str = "gan", steps: int = 40, *watchers: Watcher, **overrides: Any) -> Result:
    """A new run; `checkpoint_every=5` stands for the setting `checkpoint.every`."""
    data, settings = SYSTEMS[system]
    given = {"sample.every": 1000} | {name.replace("_", ".", 1): value for name, value in overrides.items()}
    order = Order(data=data, system=system, steps=steps, seed=1, run=run, overrides=settings | given)
    return train(order, watchers)


def left(run: Path) -> dict[str, Any]:
    """What must not depend on interruptions: the state, the records without their seconds, the settings, the grid."""
    last = max(each for each in (run / "checkpoints").iterdir() if each.name.isdecimal())
    return {
        "step": last.name,
        "state": (last / "state.safetensors").read_bytes(),
        "records": records(run),
        "settings": (run / "config.toml").read_text(),
        "grid": (run / "samples" / f"{last.name}.png").read_bytes(),
    }


def records(run: Path) -> list[dict[str, Any]]:
    """Every line of metrics.jsonl, without its seconds."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def steps_of(run: Path) -> list[int]:
    return [line["step"] for line in records(run)]


def at_step(step: int, do: Callable[[], object]) -> Watcher:
    """A watcher that does something when a step is recorded."""

    def watch(record: Mapping[str, Any]) -> None:
        if record.get("step") == step:
            do()

    return watch


def asking(run: Path, word: str) -> Callable[[], object]:
    """Leave a request, as a person or the page does."""
    return lambda: (run / "request").write_text(word)


def signalling(number: int) -> Callable[[], object]:
    """Send this process a signal, whose handlers are set in the main thread only."""

    def send() -> None:
        assert threading.current_thread() is threading.main_thread()
        assert signal.getsignal(number) is not signal.SIG_DFL, "nobody listens, and the tests would end here"
        os.kill(os.getpid(), number)

    return send
