"""What a training will be and what it will cost, before it begins: it is played for twenty steps and thrown away."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from ganworks import history, plan, scoring
from ganworks.data import pictures
from ganworks.data.dataset import DataSet
from ganworks.plan.trial import Watermark, cost, cycle, midway, untraced, usual
from ganworks.session import patience
from ganworks.session.changes import flat
from ganworks.session.conduct import ready, session_of, teller
from ganworks.session.ending import QUICK
from ganworks.session.order import Order
from ganworks.session.prepared import Session
from ganworks.settings import dump
from ganworks.training.engine import Engine
from ganworks.training.folder import next_free, surroundings
from ganworks.training.loop import Pace, Watcher

SAMPLED = 20
"""Steps that are played."""
_KEPT = 2
"""Checkpoints on disk at the end."""


@dataclass(frozen=True)
class Plan:
    """A training before it begins.

    Attributes:
        data: Name, kind, shape, rows for training, rows held out, classes.
        why: This system and not the runner-up; both empty where the system was named.
        settings: All of them, nested.
        changed: Those of the system that are not its defaults, by dotted key, with the default.
        parameters: Numbers in each network.
        memory_bytes: The most that the whole command holds, its scores at the end included.
        seconds: Of training, as `--time` counts them.
        files: What will be written below `run`, in bytes.
        notes: What was decided while the data were read and the training was prepared.
        command: What begins it.
    """

    data: dict[str, Any]
    system: str
    runner_up: str
    why: str
    settings: dict[str, Any]
    changed: dict[str, tuple[Any, Any]]
    steps: int
    threads: int
    parameters: dict[str, int]
    memory_bytes: int
    seconds: float
    files: dict[str, int]
    run: Path
    notes: list[str]
    command: str

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON has it."""
        names = "data system runner_up why settings steps threads memory_bytes seconds run".split()
        sums = {"parameters": sum(self.parameters.values()), "disk_bytes": sum(self.files.values())}
        return {name: getattr(self, name) for name in names} | sums


def forecast(order: Order, watchers: Sequence[Watcher] = ()) -> Plan:
    """Prepare a training, play twenty of its steps, do once what it does at its end, and tell what that took.

    Nothing is written.

    Raises: What `train` raises before it writes anything; ResourceError where the steps or the scores do not fit.
    """
    mark = Watermark()
    session = session_of(order)
    with ready(session, order, watchers) as (engine, threads, again):
        data = session.data
        assert data is not None
        with session.enough_memory(lambda: "a step", again):
            seconds, record = _played(engine, threads)
            found = {name: value for probe in session.probes() for name, value in probe(engine.step).items()}
            first, state = _saved(engine)
            grid = len(pictures.png(session.picture() if not data.spec.pictures else _real_grid(data)))
            count = scoring.usual_samples(data.spec, quick=seconds < QUICK and bool(engine.players))
            draw, known = session.model.parts, session.model.likelihood
            tell = teller(watchers)
            scores = scoring.evaluate(draw, data, count, trained_on=True, keep=False, likelihood=known, tell=tell)
        texts = {
            "config.toml": dump(session.run, engine.system.settings),
            "environment.json": json.dumps(surroundings(threads, session.run.device), indent=1) + "\n",
            "data.json": session.about,
            "scores.json": history.scores_text(engine.steps, [score.as_dict() for score in scores]),
        }
        pace = plan.pace(session.run, engine.steps)
        choice = session.choice
        name = data.spec.name.replace(":", "-") or "data"
        return Plan(
            data=_told(data),
            system=session.made.name,
            runner_up=choice.runner_up if choice else "",
            why=choice.why if choice else "",
            settings=session.settings,
            changed=dict(_changed(session)),
            steps=engine.steps,
            threads=threads,
            parameters={
                name: sum(weight.numel() for weight in network.parameters())
                for name, network in engine.system.named_children()
                if any(True for _ in network.parameters())
            },
            memory_bytes=mark.height,
            seconds=seconds,
            files={name: len(text.encode()) for name, text in texts.items()}
            | ({f"{patience.NAME}/": first} if session.run.patience else {})
            | _written(
                engine.steps,
                pace,
                (record, len(json.dumps(found)) if found else 0),
                session.early[0],
                grid,
                first,
                state,
            ),
            run=order.run or next_free(Path("runs"), name),
            notes=[session.headline(again), *data.note, *session.notes],
            command=again(),
        )


def _played(engine: Engine, threads: int) -> tuple[float, int]:
    """Seconds of the whole training, and bytes of a record."""
    if not engine.players:
        return 0.0, 0
    middle = midway(engine)
    rounds = cycle(engine)
    shares = sum(map(engine.planned, range(engine.steps))) / engine.planned(middle.step)
    with untraced():
        terms = engine.round() | engine.shown()
        spent = [cost(engine, rounds) / threads for _ in range(-(-SAMPLED // rounds) + 1)]
    record = {"step": engine.steps, "seconds": 1234.567, **{name: float(value) for name, value in terms.items()}}
    rates = {f"{player}.lr": engine.lr(player) for player in engine.players}
    return usual(spent) * shares, len(json.dumps(record | rates)) + 1


def _saved(engine: Engine) -> tuple[int, int]:
    """Bytes of the first checkpoint, which has no moments, and of a later one.

    Memory holds them as a save does: the state, what is written, and what is read back.
    """
    state = engine.state()
    content = safetensors.torch.save(state)
    again = bytes(bytearray(content))
    moments = sum(tensor.nbytes for name, tensor in state.items() if name.startswith("optimizer/"))
    return len(again) - moments, len(again)


def _real_grid(data: DataSet) -> Any:
    """Real pictures, as a trained model's samples would be packed."""
    return pictures.grid(data.rows(torch.arange(min(64, len(data)))).made, columns=8)


def _written(
    steps: int, pace: Pace, record: tuple[int, int], early: int, grid: int, first: int, state: int
) -> dict[str, int]:
    """Bytes of what the loop writes, by name.

    Args:
        record: Bytes of a record, and what probes add to one; 0 where there are none.
        early: The step of the pre-flight.
    """
    line, more = record
    probed = steps // pace.sample + (steps % pace.sample > 0) if more else 0
    grids = -(-steps // pace.sample) or 1
    later = min(-(-steps // pace.checkpoint), _KEPT)
    saved = later * state + (first if later < _KEPT else 0)
    return {
        "metrics.jsonl": _lines(steps, pace, probes=bool(more), early=early) * line + probed * more,
        f"samples/ ({grids})": grids * grid,
        "real.png": grid,
        f"checkpoints/ ({_KEPT} kept)": saved,
    }


def _lines(steps: int, pace: Pace, *, probes: bool, early: int = 0) -> int:
    """Records: at the first and the last step, at every so many, and where probes look, the early one among them."""
    others = steps // pace.sample - steps // math.lcm(pace.record, pace.sample) if probes else 0
    every = (pace.record, pace.sample) if probes else (pace.record,)
    return (
        steps // pace.record
        + others
        + sum(all(end % each for each in every) for end in {1, steps, early if 0 < early <= steps else 1})
    )


def _told(data: DataSet) -> dict[str, Any]:
    spec = data.spec
    held = 0 if data.held_out is None else len(data.held_out)
    form = {"name": spec.name, "kind": spec.kind, "shape": list(spec.shape)}
    return form | {"rows": spec.count, "held_out": held, "classes": list(spec.classes)}


def _changed(session: Session) -> Iterator[tuple[str, tuple[Any, Any]]]:
    defaults = dict(flat(session.made.Settings().model_dump(mode="json", by_alias=True)))
    assert session.engine is not None
    for name, value in flat(session.engine.system.settings.model_dump(mode="json", by_alias=True)):
        if value != defaults.get(name):
            yield name, (value, defaults.get(name))
