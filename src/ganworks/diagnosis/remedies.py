"""What to change: for each finding the settings that its cause calls for, as a command. Nothing changes by itself."""

import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganworks.diagnosis.figures import PENALTIES
from ganworks.diagnosis.rules import Finding
from ganworks.diagnosis.series import Series
from ganworks.errors import in_a_shell
from ganworks.settings import inline

Changes = dict[str, Any]
"""Settings by dotted key."""
_NUMBERS_EACH = 6_000
"""Of a picture, for each unit of R1: as `r3gan` weighs it."""
_PATIENCE = 5


def changes(finding: Finding, series: Series, numbers: int) -> Changes:
    """The settings to change.

    Args:
        numbers: In one row of the data.
    """
    alone = len(series.players) > 2 and series.setting("objective") is None
    if alone and finding.name not in ("not_finite", "frozen"):
        return _slower(series, 10)  # no game: there is no loss to choose and no slope to hold
    return _REMEDIES[finding.name](finding, series, numbers)


def command(run: Path, changed: Changes) -> str:
    """The training of a run once more, with some settings changed."""
    patience = changed.get("patience")
    rest = {key: value for key, value in changed.items() if key != "patience"}
    words = ["ganworks train --config", in_a_shell(run / "config.toml")]
    words += [f"--patience {patience}"] if patience else []
    words += ["--set", *(shlex.quote(f"{key}={inline(value)}") for key, value in rest.items())] if rest else []
    return " ".join(words)


def _slope(numbers: int) -> float:
    return max(0.1, round(numbers / _NUMBERS_EACH, 1))


def _weight(series: Series, name: str) -> float:
    value = series.setting(f"objective.{name}", 0.0)
    return 1.0 if isinstance(value, Mapping | list) else float(value)


def _smooth(series: Series, numbers: int) -> Changes:
    """Penalties on D's slope at both ends; more of them where they are there."""
    there = {name: _weight(series, name) for name in PENALTIES if _weight(series, name)}
    if there:
        return {f"objective.{name}": round(10 * weight, 6) for name, weight in there.items()}
    found: Changes = {"objective.r1": _slope(numbers), "objective.r2": _slope(numbers)}
    return found | ({"objective.clip": 0.0} if _weight(series, "clip") else {})


def _slower(series: Series, by: float) -> Changes:
    """Both learning rates divided."""
    found: Changes = {}
    for player in series.players:
        rate = series.setting(f"{player}.lr", 0.0)
        if isinstance(rate, int | float) and rate:
            found[f"{player}.lr"] = float(f"{min(rate / by, _HIGHEST):.1g}")
        elif isinstance(rate, list | Mapping):
            found[f"{player}.lr"] = _HIGHEST / by
    return found


_HIGHEST = 2e-3


def _calmer(series: Series) -> Changes:
    """Players that move in turn, and without momentum. Source: Gidel et al. 2019, Mescheder et al. 2017."""
    found: Changes = {"turns.simultaneous": False} if series.setting("turns.simultaneous") else {}
    for player in series.players:
        betas = series.setting(f"{player}.betas", [0.0, 0.99])
        if betas[0] > 0:
            found[f"{player}.betas"] = [0.0, betas[1]]
    return found


def _not_finite(finding: Finding, series: Series, numbers: int) -> Changes:
    return _slower(series, 100)


def _frozen(finding: Finding, series: Series, numbers: int) -> Changes:
    player, _, what = finding.cause.partition(".")
    if what == "lr":
        return {f"{player}.lr": 1e-3}
    return _slower(series, 10)


def _divergence(finding: Finding, series: Series, numbers: int) -> Changes:
    bounded = any(_weight(series, name) for name in (*PENALTIES, "clip"))
    return _slower(series, 10) | _calmer(series) | ({} if bounded else _smooth(series, numbers))


def _vanishing_gradient(finding: Finding, series: Series, numbers: int) -> Changes:
    loss = {"objective.loss": "non_saturating"} if finding.cause == "minimax" else {}
    return loss | _smooth(series, numbers)


def _ignored_condition(finding: Finding, series: Series, numbers: int) -> Changes:
    """More weight for the label where it has one; else D, which is told it, moves oftener."""
    for name in ("projection", "classification"):
        weight = series.setting(name)
        if weight is not None:
            return {name: 4.0 * float(weight) if isinstance(weight, int | float) and weight else 1.0}
    found: Changes = {"turns.discriminator": 2 * int(series.setting("turns.discriminator", 1))}
    return found | ({"turns.simultaneous": False} if series.setting("turns.simultaneous") else {})


def _discriminator_overfitting(finding: Finding, series: Series, numbers: int) -> Changes:
    return _smooth(series, numbers) | ({"view.shift": 0.125} if numbers > _FEW_NUMBERS else {"view.noise": 0.3})


_FEW_NUMBERS = 64
"""In a row that is points, and no picture."""


def _overtrained(finding: Finding, series: Series, numbers: int) -> Changes:
    return {"patience": _PATIENCE}


def _oscillation(finding: Finding, series: Series, numbers: int) -> Changes:
    return _calmer(series) | _smooth(series, numbers)


def _weak_discriminator(finding: Finding, series: Series, numbers: int) -> Changes:
    """Whatever blinds D, else more updates of it."""
    noise = series.setting("view.noise", 0.0)
    if noise:
        return {"view.noise": 0.0}
    if series.setting("objective.flip", 0.0):
        return {"objective.flip": 0.0}
    width, other = (int(series.setting(f"{player}.width", 64)) for player in ("discriminator", "generator"))
    if width * 4 <= other:
        return {"discriminator.width": other}
    turns = series.setting("turns.generator", 1)
    if turns > 1:
        return {"turns.generator": 1}
    if finding.cause == "penalty":
        there = {name: _weight(series, name) for name in PENALTIES}
        return {f"objective.{name}": float(f"{weight / 100:.1g}") for name, weight in there.items() if weight}
    if series.setting("turns.simultaneous"):
        return {"turns.simultaneous": False, "turns.discriminator": 2}
    return {"turns.discriminator": max(2, 2 * int(series.setting("turns.discriminator", 1)))}


def _mode_collapse(finding: Finding, series: Series, numbers: int) -> Changes:
    """The paired loss, which has no minimum where modes are missing, with its two penalties; packing where it is there.

    Source: Sun et al. 2020 and Huang et al. 2024, section 2; Lin et al. 2018 for packing.
    """
    loss = str(series.setting("objective.loss", ""))
    if loss != "relativistic_paired":
        return {"objective.loss": "relativistic_paired", **_smooth(series, numbers)}
    if not any(_weight(series, name) for name in PENALTIES):
        return _smooth(series, numbers)
    pack = int(series.setting("view.pack", 1))
    return {"view.pack": 2 * pack} | _slower(series, math.sqrt(10))


_REMEDIES = {
    "not_finite": _not_finite,
    "frozen": _frozen,
    "divergence": _divergence,
    "vanishing_gradient": _vanishing_gradient,
    "ignored_condition": _ignored_condition,
    "discriminator_overfitting": _discriminator_overfitting,
    "overtrained": _overtrained,
    "oscillation": _oscillation,
    "weak_discriminator": _weak_discriminator,
    "mode_collapse": _mode_collapse,
}
