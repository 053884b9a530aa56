"""From records to verdicts: the plain case of each, just inside and just outside each bound, and what is no sign."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from diagnosed import EDGES, EVERY, HEALTHY, MINIMAX, PLAIN, Column, Columns, late, swing, told

from ganworks.diagnosis import rules, thresholds, ward
from ganworks.diagnosis.rules import Judge, since, window
from ganworks.diagnosis.series import Series, number
from ganworks.diagnosis.thresholds import TABLE, Bound, bound
from ganworks.diagnosis.verdict import NAMES


def names(series: Series) -> list[str]:
    return [finding.name for finding in Judge(series).findings()]


def verdicts(series: Series, path: Path = Path("run")) -> list[str]:
    return [verdict.name for verdict in ward.of_series(series, path)]


def found(name: str, columns: Columns, **more: Any) -> bool:
    return name in names(told(columns, **more))


each_plain = pytest.mark.parametrize("name", PLAIN)


def plain(name: str, **more: Any) -> Series:
    columns, settings = PLAIN[name]
    return told(columns, settings=settings, **more)


def test_every_verdict_has_a_plain_case() -> None:
    assert {*PLAIN, "healthy"} == set(NAMES)


@each_plain
def test_the_plain_case(name: str) -> None:
    assert names(plain(name)) == [name]
    assert verdicts(plain(name)) == [name]


def test_a_healthy_run_is_told_to_be_so_with_numbers() -> None:
    (verdict,) = ward.of_series(told(), Path("run"))
    assert verdict.name == "healthy"
    assert verdict.remedy == ""
    assert {each.measure for each in verdict.evidence} == {"probe.accuracy", "probe.kinds", "probe.distance"}


# The bounds


@pytest.mark.parametrize("edge", EDGES)
def test_just_inside_and_just_outside_a_bound(edge: str) -> None:
    name, side, columns, settings = EDGES[edge]
    at = bound(edge)
    below, above = (found(name, columns(at * factor), settings=settings) for factor in (0.995, 1.005))
    assert (below, above) == ((True, False) if side == "below" else (False, True))


def test_logits_must_have_grown_and_not_only_be_far_apart() -> None:
    """A critic may begin high: what it began with, times the bound, is more than the other bound."""
    first = 2 * bound("divergence.logits")
    apart = bound("divergence.growth") * first

    def began(gap: float) -> Columns:
        return {"logit.real": lambda look: gap, "logit.fake": 0.0}

    for factor, said in ((0.99, False), (1.01, True)):
        series = told(began(factor * apart))
        for _, record in series.records[:3]:
            record["logit.real"] = first  # type: ignore[index]  # the records of the first ten steps, made here
        assert ("divergence" in names(series)) is said


def test_a_saturated_discriminator_must_have_been_so_for_a_while() -> None:
    """Of a run of 1,200 steps, a tenth; of a run of 100,000 steps, what the table says."""
    columns = PLAIN["vanishing_gradient"][0]
    for steps, needed in ((1200, 120), (100_000, bound("saturated.steps"))):
        settings = MINIMAX | {"steps": steps}
        looks = math.ceil(needed / EVERY)
        for since_look, said in ((12 - looks - 1, True), (12 - looks, False)):
            assert found("vanishing_gradient", {n: late(c(11), since_look, HEALTHY[n]) for n, c in columns.items()},
                         settings=settings) is (said and 12 - since_look >= 0.75 * window(12))  # fmt: skip


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_a_player_is_frozen_in_nearly_all_records_or_not_at_all(player: str) -> None:
    series = told({f"probe.moved.{player}": None})
    count = len(series.records)
    needed = math.ceil(bound("frozen.share") * count)
    for still, said in ((needed, True), (needed - 1, False)):
        series = told({f"probe.moved.{player}": None})
        for _, record in series.records[count - still :]:
            record[f"{player}.lr"] = 0.0  # type: ignore[index]  # made here
        assert ("frozen" in names(series)) is said


@pytest.mark.parametrize("name", PLAIN)
def test_too_few_looks_give_no_verdict(name: str) -> None:
    least = int(bound("looks.least"))
    assert found(name, *[PLAIN[name][0]], settings=PLAIN[name][1], looks=12)
    early = names(plain(name, looks=least - 1))
    assert early == ([name] if name in ("not_finite", "frozen") else [])


def test_a_short_run_is_not_healthy_either() -> None:
    least = int(bound("looks.least"))
    assert verdicts(told(looks=least - 1)) == []
    assert verdicts(told(looks=least)) == ["healthy"]


def hurried(last: int) -> Series:
    """A collapse at all looks, the last of which is at a step."""
    series = told({"probe.kinds": 0.1})
    records = [(line, {**record, "step": record["step"] * last // 1200}) for line, record in series.records]
    return replace(series, records=records)


def test_a_run_of_few_steps_is_not_judged() -> None:
    """However many looks it has had: every G begins with few kinds of samples."""
    steps = int(bound("looks.steps"))
    assert verdicts(hurried(steps)) == ["mode_collapse"]
    assert verdicts(hurried(steps - 1)) == []


# Numbers that decide nothing and are shown beside


BESIDE: dict[str, tuple[str, str, Callable[[float], Columns]]] = {
    "overfitting.sign": ("discriminator_overfitting", "probe.sign", lambda at: {"probe.sign": at}),
    "oscillation.back": ("oscillation", "probe.cosine.generator", lambda at: {"probe.cosine.generator": at}),
    "oscillation.average": ("oscillation", "probe.distance", lambda at: {"probe.distance": 0.3 * at}),
    "weak.penalty": (
        "weak_discriminator", "discriminator.adversarial",
        lambda at: {"discriminator.adversarial": 1 - at, "discriminator.r1": at},
    ),
}  # fmt: skip


@pytest.mark.parametrize("edge", BESIDE)
def test_a_number_beyond_its_bound_is_shown_beside(edge: str) -> None:
    name, measure, columns = BESIDE[edge]
    shown = []
    for factor in (0.995, 1.005):
        series = told({**PLAIN[name][0], **columns(bound(edge) * factor)})
        (verdict,) = ward.of_series(series, Path("run"))
        assert verdict.name == name
        shown.append(measure in {each.measure for each in verdict.evidence})
    assert shown == [False, True]


def test_what_d_says_of_samples_may_repeat_itself() -> None:
    """There and back at every second look is once in 200 steps."""
    columns = PLAIN["oscillation"][0]
    says = [
        {
            each.measure: each.says
            for each in ward.of_series(told({**columns, "logit.fake": each}), Path("run"))[0].evidence
        }
        for each in (swing(4.0), lambda look: 0.1 * look)
    ]
    assert "every 200 steps" in says[0]["logit.fake"]
    assert "logit.fake" not in says[1]


# What the last third shows decides


def test_the_window_is_a_third_and_at_least_three() -> None:
    assert [window(count) for count in (3, 9, 10, 30)] == [3, 3, 4, 10]


@pytest.mark.parametrize(
    ("signs", "at"),
    [
        ("111111111111", 0),
        ("000000001111", 8),
        ("000011101111", 4),
        ("111100001111", 8),
        ("100000001111", 8),
        ("000000000111", 9),
        ("000000001110", 8),
        ("000000000011", None),
        ("111111111100", None),
        ("111100000000", None),
        ("000000000000", None),
        ("11", None),
        ("", None),
    ],
)
def test_since_when_signs_are_there(signs: str, at: int | None) -> None:
    """From the first look that shows them on, they are in three of four; and in the last third too."""
    assert since([each == "1" for each in signs]) == at


LASTING = [
    "vanishing_gradient",
    "ignored_condition",
    "discriminator_overfitting",
    "weak_discriminator",
    "mode_collapse",
]


@pytest.mark.parametrize("name", LASTING)
def test_a_sign_that_goes_away_is_none(name: str) -> None:
    columns, settings = PLAIN[name]

    def until(column: Column, key: str) -> Column:
        last = column(11) if callable(column) else column
        return lambda look: last if look < 5 else HEALTHY[key]

    assert names(told({key: until(column, key) for key, column in columns.items()}, settings=settings)) == []


@pytest.mark.parametrize("name", LASTING)
@pytest.mark.parametrize("look", [0, 3, 8])
def test_since_step_and_confidence(name: str, look: int) -> None:
    """With one look in it that does not show the sign: (h + 1) / (n + 2)."""
    columns, settings = PLAIN[name]
    last = {key: column(11) if callable(column) else column for key, column in columns.items()}
    missed = {key: lambda at, key=key: last[key] if at >= look and at != 10 else HEALTHY[key] for key in columns}
    (verdict,) = ward.of_series(told(missed, settings=settings), Path("run"))
    looks = 12 - look
    assert (verdict.name, verdict.since_step) == (name, EVERY * (look + 1))
    assert verdict.confidence == round((looks - 1 + 1) / (looks + 2), 3)


def test_labels_that_samples_come_to_show_are_not_ignored() -> None:
    """The first looks of `acgan` on digits (2026-11-26); the other is where it would stay."""
    shares = [0.055, 0.109, 0.152, 0.195, 0.156, 0.324, 0.465, 0.559, 0.621, 0.695, 0.793, 0.801]
    floors: Columns = {"probe.label_floor": 0.99, "probe.label_chance": 0.1}
    for looks in range(6, 13):
        assert names(told({"probe.label": shares[:looks], **floors}, looks=looks)) == []
    stays = shares[:5] + 7 * shares[4:5]
    assert names(told({"probe.label": stays, **floors})) == ["ignored_condition"]


# Numbers that are not there


@each_plain
def test_a_run_without_probes_has_no_verdict_by_them(name: str) -> None:
    columns = {key: None for key in (*HEALTHY, *PLAIN[name][0]) if key.startswith("probe.")}
    series = told({**PLAIN[name][0], **columns}, settings=PLAIN[name][1])
    assert series.looks == []
    assert set(verdicts(series)) <= {"not_finite"}
    assert names(Series([], {}, 0)) == []


@each_plain
def test_no_number_that_is_missing_makes_nan_or_a_fault(name: str) -> None:
    columns, settings = PLAIN[name]
    for missing in HEALTHY:
        for gone in (None, late(HEALTHY[missing], 9)):
            for verdict in ward.of_series(told({**columns, missing: gone}, settings=settings), Path("run")):
                assert verdict.name in (name, "healthy", "mode_collapse", "weak_discriminator")
                for each in verdict.evidence:
                    assert math.isfinite(each.value)
                    assert math.isfinite(each.bound)
                    assert "nan" not in each.says


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("vanishing_gradient", "probe.accuracy"),
        ("vanishing_gradient", "probe.saturation"),
        ("ignored_condition", "probe.label"),
        ("ignored_condition", "probe.label_floor"),
        ("discriminator_overfitting", "probe.memory"),
        ("discriminator_overfitting", "probe.accuracy_trained"),
        ("overtrained", "probe.distance_online"),
        ("overtrained", "probe.accuracy"),
        ("oscillation", "probe.accuracy"),
        ("weak_discriminator", "probe.told_apart"),
        ("divergence", "logit.fake"),
    ],
)
def test_without_the_number_that_it_rests_on_a_verdict_is_not_given(name: str, needed: str) -> None:
    columns, settings = PLAIN[name]
    assert name not in names(told({**columns, needed: None}, settings=settings))


# Evidence


@each_plain
def test_evidence_points_to_the_lines_that_hold_its_numbers(name: str) -> None:
    series = plain(name)
    (verdict,) = ward.of_series(series, Path("run"))
    lines = dict(series.records)
    assert verdict.evidence
    for each in verdict.evidence:
        first, last = each.lines
        assert 1 <= first <= last <= len(lines)
        held = [value for line in range(first, last + 1) if (value := number(lines[line], each.measure)) is not None]
        assert held, f"{each.measure} is not in lines {first} to {last}"
        assert number(lines[last], each.measure) is not None, "the last line is one that holds it"
        if "times" not in each.says and name not in ("oscillation",) and "gradient" not in each.measure:
            assert each.value == pytest.approx(sorted(held)[len(held) // 2]) or each.measure == "probe.accuracy_trained"
        assert verdict.since_step in {lines[line]["step"] for line in lines}


def test_evidence_tells_the_number_and_its_bound() -> None:
    (verdict,) = ward.of_series(plain("mode_collapse"), Path("run"))
    kinds, spread = verdict.evidence
    assert (kinds.value, kinds.bound, kinds.says) == (0.15, bound("collapse.kinds"), kinds.says)
    assert "15%" in kinds.says
    assert "0.20" in spread.says
    assert kinds.lines == (3 + 2 * 5, 3 + 2 * 12), "the fifth look, and the last"


def test_a_number_over_several_looks_is_their_median() -> None:
    (verdict,) = ward.of_series(told({"probe.kinds": lambda look: 0.05 + 0.01 * look}), Path("run"))
    assert verdict.evidence[0].value == pytest.approx(0.105)


# What explains what


def test_verdicts_come_in_the_order_of_their_names() -> None:
    both = PLAIN["discriminator_overfitting"][0] | PLAIN["ignored_condition"][0]
    assert verdicts(told(both)) == ["ignored_condition", "discriminator_overfitting"]
    assert [NAMES.index(name) for name in names(told(both))] == sorted(NAMES.index(name) for name in names(told(both)))


@pytest.mark.parametrize(("cause", "effects"), ward._EXPLAINS.items(), ids=list(ward._EXPLAINS))
def test_what_a_verdict_explains_is_not_told_again(cause: str, effects: tuple[str, ...]) -> None:
    columns, settings = PLAIN[cause]
    hidden = []
    for effect in set(effects) - {cause, "healthy"}:
        series = told({**PLAIN[effect][0], **columns}, settings=settings)
        if {cause, effect} <= set(names(series)) and NAMES.index(effect) > NAMES.index(cause):
            hidden.append(effect)
            assert effect not in verdicts(series)
            assert verdicts(series)[0] == cause
    assert hidden, "no two signs of this row can be there at once"


def test_a_cause_stands_before_what_it_explains() -> None:
    for cause, effects in ward._EXPLAINS.items():
        assert effects is NAMES or all(NAMES.index(effect) > NAMES.index(cause) for effect in effects), cause


# The pre-flight line


def test_the_preflight_line() -> None:
    at = bound("preflight.accuracy")
    assert "training can start" in ward.preflight({"step": 50, "probe.preflight": at})
    assert "nothing for G to learn from" in ward.preflight({"step": 50, "probe.preflight": at - 1e-6})
    assert ward.preflight({"step": 50}) == ""


# The table


def test_every_bound_is_read_by_a_rule_and_has_a_source() -> None:
    source = "".join(Path(module.__file__ or "").read_text() for module in (rules, ward))
    for name, row in TABLE.items():
        assert f'"{name}"' in source, f"nobody reads {name}"
        assert row.source
        assert row.meaning
    read = {word for word in source.split('"') if word.split(".")[0] in {name.split(".")[0] for name in TABLE}}
    assert {word for word in read if word.count(".") == 1 and " " not in word} <= set(TABLE)


@pytest.mark.parametrize("edge", EDGES)
def test_a_bound_that_is_moved_is_noticed(edge: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: a rule that does not read the table would go on as before."""
    name, side, columns, settings = EDGES[edge]
    at = bound(edge)
    series = told(columns(at * (0.995 if side == "below" else 1.005)), settings=settings)
    assert name in names(series)
    moved = Bound(at * (0.9 if side == "below" else 1.1), "", "")
    monkeypatch.setitem(thresholds.TABLE, edge, moved)
    assert name not in names(series)


# Planted faults in what the rules share


FAULTS: dict[str, tuple[str, Callable[..., Any], Callable[[], None]]] = {
    "a sign once seen is a sign": (
        "rules.since", lambda signs: signs.index(True) if True in signs else None,
        lambda: test_a_sign_that_goes_away_is_none("mode_collapse"),
    ),
    "the whole run decides": (
        "rules.window", lambda count: count, lambda: test_since_step_and_confidence("mode_collapse", 8)
    ),
    "what is missing is a sign": (
        "rules.Judge._signs",
        lambda judge, *tests: [
            all(value is None or test(value) for name, test in tests for value in [judge.series.look(name)[at]])
            for at in range(len(judge.series.looks))
        ],
        lambda: test_without_the_number_that_it_rests_on_a_verdict_is_not_given(
            "weak_discriminator", "probe.told_apart"
        ),
    ),
    "looks counted for lines": (
        "series.Series.lines", lambda series, since: (since + 1, len(series.looks)),
        lambda: test_evidence_points_to_the_lines_that_hold_its_numbers("weak_discriminator"),
    ),
    "the gap of one side": (
        "figures.gap", lambda record: number(record, "logit.real"),
        lambda: test_just_inside_and_just_outside_a_bound("divergence.logits"),
    ),
    "moves along one axis of two": (
        "figures.moves", lambda means: [abs(b[1] - a[1]) for a, b in pairwise(means)],
        lambda: test_just_inside_and_just_outside_a_bound("oscillation.path"),
    ),
    "reach not by coordinate": (
        "figures.reach", lambda means: math.sqrt(sum(a * a + b * b for a, b in means) / len(means)),
        lambda: test_just_inside_and_just_outside_a_bound("oscillation.reach"),
    ),
    "the last number for the median": (
        "rules.middle", lambda values: [None, *values][-1],
        lambda: test_a_number_over_several_looks_is_their_median(),
    ),
    "rollbacks not looked at": (
        "rules.Judge._not_finite", lambda judge: iter(()), lambda: test_the_plain_case("not_finite")
    ),
    "causes not told from effects": ("ward._EXPLAINS", dict, lambda: test_a_cause_hides_its_effect()),
}  # fmt: skip


def test_a_cause_hides_its_effect() -> None:
    columns = PLAIN["weak_discriminator"][0] | PLAIN["mode_collapse"][0]
    assert verdicts(told(columns)) == ["weak_discriminator"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, wrong, test = FAULTS[fault]
    test()
    monkeypatch.setattr(f"ganworks.diagnosis.{where}", wrong() if where == "ward._EXPLAINS" else wrong)
    with pytest.raises((AssertionError, TypeError)):
        test()
