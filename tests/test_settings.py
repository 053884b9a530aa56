"""Settings: strict types, errors that name the key, schedules, and the way through TOML."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from ganworks import systems
from ganworks.errors import UsageError
from ganworks.settings import (
    GameSettings,
    Ramp,
    RunSettings,
    Schedule,
    Settings,
    at,
    build,
    choices,
    dump,
    keys,
    merge,
    nested,
    read,
)


def game(dotted: dict[str, Any]) -> GameSettings:
    return build(GameSettings, nested(dotted), system="gan")


def value(settings: BaseModel, key: str) -> Any:
    found: Any = settings
    for part in key.split("."):
        found = getattr(found, part)
    return found


def ramp(start: float, end: float, **rest: Any) -> dict[str, Any]:
    return {"from": start, "to": end, **rest}


# types and ranges


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("batch", True),  # Python takes True for 1
        ("batch", 2.5),
        ("batch", 2.0),
        ("batch", "64"),
        ("batch", 0),
        ("objective.r1", math.inf),
        ("objective.r1", math.nan),
        ("objective.r1", -0.1),
        ("objective.r1", True),
        ("objective.r1", "1"),
        ("objective.every", 0),
        ("objective.real_target", 0.0),
        ("objective.real_target", 1.1),
        ("view.pack", 0),
        ("view.noise", -0.1),
        ("view.noise", math.inf),
        ("turns.simultaneous", 1),
        ("latent.prior", "gaussian"),
        ("average.rampup", 1.5),
        ("generator.optimizer", "adamw"),
        ("generator.lr", -1e-4),
        ("generator.lr", math.nan),
        ("generator.lr", True),
        ("generator.lr", "fast"),
        ("generator.lr", []),
        ("generator.lr", [1.0, -1.0]),
        ("generator.lr", ramp(1.0, -1.0)),
        ("generator.betas", 0.5),
        ("generator.betas", [0.5]),
        ("objective", 3),
    ],
)
def test_a_wrong_value_is_refused_by_key_and_value(key: str, wrong: Any) -> None:
    with pytest.raises(UsageError, match="E-SET-01") as caught:
        game({key: wrong})
    assert f"setting '{key}' cannot be {wrong!r}: " in str(caught.value)


def test_inside_a_list_the_wrong_number_is_named() -> None:
    with pytest.raises(UsageError, match=r"setting 'generator\.lr' cannot be \[1\.0\]: .*a number"):
        game({"generator.lr": [0.5, [1.0]]})
    with pytest.raises(UsageError, match=r"setting 'generator\.betas' cannot be 1\.5: .*less than 1"):
        game({"generator.betas": [0.5, 1.5]})


def test_whole_numbers_serve_as_numbers() -> None:
    given = {"objective.r1": 3, "generator.lr": 1, "view.noise": [2, ramp(1, 0)], "generator.betas": [0, 0]}
    settings = game(given)
    assert (settings.objective.r1, type(settings.objective.r1)) == (3.0, float)
    assert (settings.generator.lr, type(settings.generator.lr)) == (1.0, float)
    assert at(settings.view.noise, 0, 10) == 2.0
    assert settings.generator.betas == (0.0, 0.0)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"batch": 64, "view.pack": 3}, "batch 64 is no multiple of view.pack 3"),
        ({"turns.unroll": 5, "turns.simultaneous": True}, "set turns.simultaneous = false"),
        ({"turns.discriminator": 5, "turns.simultaneous": True}, "set turns.simultaneous = false"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match="E-SET-02") as caught:
        game(given)
    assert reason in str(caught.value)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        game({}).batch = 2  # type: ignore[misc]


# names


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("objective.los", "objective.loss"),
        ("objective.grad_penalty", ""),
        ("loss", "objective.loss"),
        ("generater.lr", "generator.lr"),
        ("batch.size", ""),
        ("generator.lr.two", ""),
        ("bacth", "batch"),
        ("number", ""),  # pydantic's word for one of the forms of a schedule, too
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(typed: str, meant: str) -> None:
    given = {typed: 1} if typed != "generator.lr.two" else {"generator.lr": ramp(1.0, 2.0, two=1)}
    with pytest.raises(UsageError, match="E-NAME-04") as caught:
        game(given)
    lines = str(caught.value).splitlines()
    assert f"unknown setting '{typed}'" in lines[0]
    assert lines[-1] == "do:  ganworks systems gan"
    if meant:
        assert lines[1].startswith(f"  names close to it: {meant}")


def test_the_place_is_told() -> None:
    with pytest.raises(UsageError, match=r"unknown setting 'bach' in mine\.toml"):
        build(GameSettings, {"bach": 3}, where="mine.toml")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("batch = 64\n[objective]\n# a comment\nr1 = -1.0\n", 4),
        ("objective.r1 = -1.0\n", 1),
        ("objective = {r2 = 1, r1 = -1}\n", 1),
        ('[ "objective" ]\n"r1" = -1\n', 2),
    ],
)
def test_the_line_is_told_and_none_where_an_option_is_wrong(text: str, line: int, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        build(GameSettings, read(path), where=str(path))
    assert caught.value.where == f"{path}, line {line}"
    with pytest.raises(UsageError) as caught:
        build(GameSettings, {"latent": {"size": 0}}, where=str(path))
    assert caught.value.where == ""


def test_keys_are_dotted_and_all_have_a_meaning() -> None:
    found = dict(keys(GameSettings))
    assert {"batch", "latent.size", "objective.loss", "turns.simultaneous", "generator.betas"} <= set(found)
    for name in systems.names():
        for key, field in keys(systems.get(name).Settings):
            assert field.description, f"{name}: {key} says nothing of itself"


def test_the_fixed_keys_are_there() -> None:
    fixed = """batch latent.size latent.prior objective.loss objective.r1 objective.r2 objective.gradient_penalty
        objective.real_target objective.every objective.clip view.noise view.pack turns.discriminator turns.generator
        turns.simultaneous average.half_life generator.optimizer generator.lr generator.betas generator.width
        discriminator.optimizer discriminator.lr discriminator.betas discriminator.width"""
    games = [name for name in systems.names() if "objective" in systems.get(name).Settings.model_fields]
    assert len(games) > len(systems.names()) - 3
    for name in games:
        assert set(fixed.split()) <= {key for key, _ in keys(systems.get(name).Settings)}


def test_keys_of_a_run_and_of_a_system_do_not_collide() -> None:
    """They share one file."""
    for name in systems.names():
        assert not set(RunSettings.model_fields) & set(systems.get(name).Settings.model_fields)


# layers


def test_later_layers_lie_over_earlier_ones() -> None:
    first, second = {"batch": 8, "objective": {"loss": "hinge", "r1": 1.0}}, {"objective": {"r1": 2.0}}
    settings = build(GameSettings, first, second)
    assert (settings.batch, settings.objective.loss, settings.objective.r1) == (8, "hinge", 2.0)
    assert first == {"batch": 8, "objective": {"loss": "hinge", "r1": 1.0}}


def test_a_ramp_replaces_a_ramp_as_a_whole() -> None:
    settings = build(
        GameSettings,
        {"generator": {"lr": ramp(1.0, 0.5, over=[10, 20], shape="cosine")}},
        {"generator": {"lr": ramp(0.25, 0.0)}},
    )
    assert settings.generator.lr == Ramp.model_validate(ramp(0.25, 0.0))


def test_a_group_and_a_key_of_it_go_together() -> None:
    group = {"r1": 1.0}
    assert nested({"objective.loss": "hinge", "objective": group}) == {"objective": {"loss": "hinge", "r1": 1.0}}
    assert nested({"objective": group, "objective.loss": "hinge"}) == {"objective": {"loss": "hinge", "r1": 1.0}}
    assert group == {"r1": 1.0}


def test_merging_leaves_both_sides_as_they_are() -> None:
    base, over = {"a": {"b": 1}}, {"a": {"c": 2}}
    assert merge(base, over) == {"a": {"b": 1, "c": 2}}
    assert (base, over) == ({"a": {"b": 1}}, {"a": {"c": 2}})


def test_a_single_value_stands_for_a_list_of_one() -> None:
    class Listed(Settings):
        names: list[str] = Field([])

    assert build(Listed, {"names": "flip"}).names == ["flip"]


# schedules

STEPS = 1000


def schedule(given: Any) -> Schedule:
    return game({"generator.lr": given}).generator.lr


@pytest.mark.parametrize(
    ("given", "values"),
    [
        (0.5, {0: 0.5, 999: 0.5}),
        # shares: from 200 to 600 of 1,000 steps
        (ramp(1.0, 0.0, over=[0.2, 0.6]), {0: 1.0, 200: 1.0, 300: 0.75, 400: 0.5, 600: 0.0, 999: 0.0, 5000: 0.0}),
        # whole numbers: steps
        (ramp(0.0, 1.0, over=[0, 100]), {0: 0.0, 50: 0.5, 100: 1.0, 999: 1.0}),
        (ramp(0.0, 1.0, over=[10, 20]), {0: 0.0, 10: 0.0, 15: 0.5, 20: 1.0, 21: 1.0}),
        # without `over`: the whole run
        (ramp(1.0, 0.0), {0: 1.0, 250: 0.75, 1000: 0.0, 2000: 0.0}),
        # one edge with a point makes both shares
        (ramp(1.0, 0.0, over=[0, 0.5]), {0: 1.0, 250: 0.5, 500: 0.0}),
        (ramp(1.0, 0.0, over=[0.5, 1]), {500: 1.0, 750: 0.5, 1000: 0.0}),
        # ½ + ½ cos(π/4) = 0.853553
        (ramp(1.0, 0.0, shape="cosine"), {0: 1.0, 250: 0.8535533905932737, 500: 0.5, 1000: 0.0}),
        # half-way between 1 and 0.01 lies 0.1
        (ramp(1.0, 0.01, shape="exponential"), {0: 1.0, 500: 0.1, 1000: 0.01, 2000: 0.01}),
        # a list is multiplied: warm-up, then decay
        ([4.0, ramp(0.0, 1.0, over=[0, 100]), ramp(1.0, 0.5, over=[0.5, 1.0])], {0: 0, 50: 2, 100: 4, 750: 3, 1000: 2}),
    ],
)
def test_schedules(given: Any, values: dict[int, float]) -> None:
    for step, expected in values.items():
        assert at(schedule(given), step, STEPS) == pytest.approx(expected, abs=1e-12), step


def test_negative_exponentials_stay_negative() -> None:
    falling = Ramp.model_validate(ramp(-1.0, -0.01, shape="exponential"))
    assert falling.value(500, STEPS) == pytest.approx(-0.1)


ENDS = st.floats(1e-300, 1e300)


@given(ENDS, ENDS, st.sampled_from(["linear", "cosine", "exponential"]), st.integers(0, 60), st.integers(1, 60))
def test_a_ramp_stays_between_its_ends_and_holds_them_exactly(
    start: float, end: float, shape: str, first: int, length: int
) -> None:
    held = Ramp.model_validate(ramp(start, end, shape=shape, over=[first, first + length]))
    low, high = sorted((start, end))
    assert held.value(0, 100) == held.value(first, 100) == start
    assert held.value(first + length, 100) == held.value(10_000, 100) == end
    for step in range(first, first + length + 1):
        assert low * (1 - 1e-12) <= held.value(step, 100) <= high * (1 + 1e-12)


def test_shares_move_with_the_length_of_the_run_and_steps_do_not() -> None:
    shares, steps = (
        Ramp.model_validate(ramp(0.0, 1.0, over=[0.0, 0.5])),
        Ramp.model_validate(ramp(0.0, 1.0, over=[0, 50])),
    )
    assert (shares.value(25, 100), shares.value(25, 1000)) == (0.5, pytest.approx(0.05))
    assert (steps.value(25, 100), steps.value(25, 1000)) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (ramp(1.0, 0.0, over=[0.5, 0.2]), "start < end"),
        (ramp(1.0, 0.0, over=[5, 5]), "start < end"),
        (ramp(1.0, 0.0, over=[-1, 5]), "start < end"),
        (ramp(1.0, 0.0, over=[0.0, 0.5, 1.0]), "start < end"),
        (ramp(1.0, 0.0, over=[0.5, 10]), "two shares between 0.0 and 1.0"),
        (ramp(1.0, 0.0, over=[0.0, 1.5]), "two shares between 0.0 and 1.0"),
        (ramp(1.0, 0.0, shape="exponential"), "same side of 0"),
        (ramp(1.0, 0.0, shape="square"), "linear, cosine or exponential"),
        ({"from": 1.0}, "a schedule needs `to`"),
        ({"start": 1.0, "end": 0.0}, "a schedule needs `from`"),
    ],
)
def test_a_mistake_in_a_ramp_is_told_as_one(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=r"E-SET-01.*generator\.lr") as caught:
        schedule(given)
    assert said in str(caught.value)


# the way through TOML


def written_and_read(path: Path, *models: BaseModel) -> dict[str, Any]:
    path.write_text(dump(*models))
    return read(path)


def test_a_schedule_goes_through_toml(tmp_path: Path) -> None:
    given = [5e-3, ramp(0.0, 1.0, over=[0, 100]), ramp(1.0, 0.02, over=[0.667, 1.0], shape="cosine")]
    settings = game({"generator.lr": given, "view.noise": ramp(0.1, 0.0, over=[0.0, 1.0])})
    found = written_and_read(tmp_path / "config.toml", settings)
    assert found["view"]["noise"] == {"from": 0.1, "to": 0.0, "over": [0.0, 1.0], "shape": "linear"}
    # 0.0 must stay a share and 100 a step: `over = [0, 1]` means the first step, [0.0, 1.0] the whole run.
    assert [type(edge) for edge in found["view"]["noise"]["over"]] == [float, float]
    assert [type(edge) for edge in found["generator"]["lr"][1]["over"]] == [int, int]
    assert build(GameSettings, found) == settings


def values_of(field: Any) -> st.SearchStrategy[Any]:
    """Valid values of a setting, from its type and its bounds."""
    annotation = field.annotation
    if annotation in (bool, str):
        return st.booleans() if annotation is bool else st.text(st.characters(codec="utf-8"), max_size=8)
    if words := choices(annotation):
        word = st.sampled_from(words)
        return st.lists(word, max_size=3) if get_origin(annotation) is list else word
    if get_origin(annotation) is list:  # of whole numbers that are 2 or more
        return st.lists(st.integers(2, 9), max_size=3)
    if get_origin(annotation) is tuple:
        return st.tuples(*[st.floats(0, 1, exclude_max=True)] * len(get_args(annotation)))
    if annotation not in (int, float):
        return schedules()
    bounds = {
        name: getattr(mark, name) for mark in field.metadata for name in ("ge", "gt", "le", "lt") if hasattr(mark, name)
    }
    low, high = bounds.get("ge", bounds.get("gt", 0)), bounds.get("le", bounds.get("lt", 1e6))
    if annotation is int:
        return st.integers(low, int(high) - ("lt" in bounds))
    return st.floats(low, high, exclude_min="gt" in bounds, exclude_max="lt" in bounds)


def schedules() -> st.SearchStrategy[Any]:
    """Numbers, ramps in shares and in steps, and products of them."""
    number = st.floats(0, 10)
    shares = st.lists(st.floats(0, 1), min_size=2, max_size=2, unique=True).map(sorted)
    steps = st.lists(st.integers(0, 10**6), min_size=2, max_size=2, unique=True).map(sorted)
    shapes = st.sampled_from(["linear", "cosine"])
    ramps = st.builds(
        lambda a, b, over, shape: ramp(a, b, over=over, shape=shape), number, number, shares | steps, shapes
    )
    return st.one_of(number, ramps, st.lists(number | ramps, min_size=1, max_size=3))


def drawn(data: st.DataObject, model: type[BaseModel]) -> dict[str, Any]:
    """Valid values for some of a model's settings."""
    fields = dict(keys(model))
    chosen = data.draw(st.sets(st.sampled_from(sorted(fields))))
    return {key: data.draw(values_of(fields[key]), label=key) for key in sorted(chosen)}


@pytest.mark.parametrize("name", systems.names())
@effort(max_examples=60, deadline=None)
@given(data=st.data())
def test_dump_and_read_give_the_same_settings(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = systems.get(name).Settings
    # Settings that only go together with others are left out here.
    free = {
        k: v
        for k, v in drawn(data, model).items()
        if k not in ("view.pack", "view.adaptive", "batch") and not k.startswith("turns.")
    }
    settings, run = build(model, nested(free), system=name), build(RunSettings, nested(drawn(data, RunSettings)))
    found = written_and_read(tmp_path_factory.getbasetemp() / f"{name}.toml", run, settings)
    ours = {key: value for key, value in found.items() if key in RunSettings.model_fields}
    theirs = {key: value for key, value in found.items() if key not in RunSettings.model_fields}
    assert build(RunSettings, ours) == run
    assert build(model, theirs) == settings
    assert dump(build(model, theirs)) == dump(settings)
    for key, asked in free.items():
        if isinstance(asked, int | float | str):
            assert value(settings, key) == asked


@pytest.mark.parametrize("name", systems.names())
def test_defaults_go_through_toml(name: str, tmp_path: Path) -> None:
    model = systems.get(name).Settings
    assert build(model, written_and_read(tmp_path / "config.toml", model())) == model()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path, tmp_path / "file" / "below"):
        (tmp_path / "file").touch()
        with pytest.raises(UsageError, match="E-SET-04"):
            read(path)


@pytest.mark.parametrize(
    "text", [b"batch = = 3\n", b"\xff\xfe", b"a = 1\na = 2\n", b"x = " + b"[" * 10_000, b"x = " + b"9" * 5000]
)
def test_a_file_that_is_no_toml(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(text)
    with pytest.raises(UsageError, match="E-SET-03"):
        read(path)


def test_a_file_from_a_windows_editor(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbfbatch = 3\r\n")
    assert read(path) == {"batch": 3}


def test_choices_are_the_words_of_a_setting() -> None:
    assert choices(Literal["a", "b"]) == choices(list[Literal["a", "b"]]) == ("a", "b")
    assert choices(str) == choices(Annotated[int, 1]) == ()
