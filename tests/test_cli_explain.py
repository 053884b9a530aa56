"""Whatever has a name can be explained."""

import inspect
import json
import shlex
from typing import Any

import pytest

from ganworks import data, errors, losses, metrics, penalties, systems
from ganworks.cli import entries, options, topics
from ganworks.cli.app import BUILT, build, main
from ganworks.diagnosis.verdict import NAMES as VERDICTS
from ganworks.metrics import features
from ganworks.settings import GameSettings, RunSettings, keys, nested
from ganworks.settings import build as build_settings

NAMED = entries.collect()
TOPICS = list({id(topic): topic for found in NAMED.values() for topic in found}.values())
SETTINGS = dict.fromkeys(
    key for model in [RunSettings, *(systems.get(name).Settings for name in systems.names())] for key, _ in keys(model)
)
PENALTIES = "r1 r2 finite_difference gradient_penalty dragan roth consistency lecam orthogonal clip_weights".split()
WORDS = """generator discriminator critic latent z loss logit penalty remedy system player turn round step phase epoch
batch run checkpoint seed schedule average EMA mode_collapse vanishing_gradient oscillation divergence overfitting score
floor interval feature_space FID held_out instance_noise packing replay label_smoothing label_flipping unrolling
spectral_normalization feature_matching learning_rate""".split()


def explained(name: str, kind: str = "") -> topics.Topic:
    found = [topic for topic in topics.find(name, NAMED) if not kind or topic.kind == kind]
    assert found, f"{name} is not explained"
    return found[0]


@pytest.mark.parametrize("name", losses.names())
def test_a_loss_has_its_formula_its_letters_its_paper_and_a_command(name: str) -> None:
    topic = explained(name, "loss")
    assert "L_D" in topic.text[0] or "critic minimises" in topic.text[0]
    assert "a = f(real), b = f(fake)" in topic.letters
    assert "arXiv:" in topic.paper
    assert any(f"objective.loss={name}" in command for command in topic.set)
    assert topic.settings[0].startswith("objective.loss: ")


@pytest.mark.parametrize("name", PENALTIES)
def test_a_penalty_has_its_formula_its_letters_its_paper_and_when_not(name: str) -> None:
    topic = explained(name, "penalty")
    key = "objective.clip" if name == "clip_weights" else f"objective.{name}"
    assert topic.text
    assert topic.letters
    assert "arXiv:" in topic.paper
    assert topic.avoid
    assert any(line.startswith(f"{key}: ") for line in topic.settings)
    assert any(f"{key}=" in command for command in topic.set)


def test_the_list_of_penalties_is_whole() -> None:
    """Those that a setting of the objective names; the other functions of the module are their parts."""
    assert set(entries.PENALTIES) == set(PENALTIES)
    known = {key.partition(".")[2] for key, _ in keys(GameSettings) if key.startswith("objective.")}
    public = {name for name, made in vars(penalties).items() if inspect.isfunction(made)}
    assert known & public <= set(PENALTIES)


@pytest.mark.parametrize("name", systems.names())
def test_a_system_has_its_story_and_its_paper(name: str) -> None:
    topic = explained(name, "system")
    assert len(topic.text) >= 3
    assert topic.paper == systems.get(name).paper
    assert f"ganworks systems {name}" in topic.set


@pytest.mark.parametrize("name", [*metrics.names(), "label_accuracy"])
def test_a_metric_is_explained(name: str) -> None:
    assert len(explained(name, "metric").text[0]) > 20


@pytest.mark.parametrize("name", metrics.__all__)
def test_the_functions_of_metrics_are_found_by_their_own_names(name: str) -> None:
    made = getattr(metrics, name)
    if inspect.isfunction(made) and name not in ("names", "score", "scores"):
        explained(name, "metric")


@pytest.mark.parametrize("name", features.names())
def test_a_feature_space_is_explained(name: str) -> None:
    assert explained(name, "feature space").text


@pytest.mark.parametrize("row", data.names(), ids=lambda row: row.name)
def test_built_in_data_are_explained(row: Any) -> None:
    assert row.licence in " ".join(explained(row.name, "data").text)


@pytest.mark.parametrize("key", SETTINGS)
def test_a_setting_has_its_meaning_and_its_defaults(key: str) -> None:
    (line,) = explained(key, "setting").settings
    assert line.startswith(f"{key}: ")
    assert "default " in line


def test_systems_that_differ_in_a_default_are_named() -> None:
    (line,) = explained("turns.discriminator", "setting").settings
    assert "default 1" in line
    assert "5 in " in line
    assert "wgan" in line.partition("5 in ")[2]
    assert "or a schedule" in explained("objective.r1", "setting").settings[0]


@pytest.mark.parametrize("code", errors.TABLE)
def test_an_error_code_is_explained(code: str) -> None:
    topic = explained(code, "error")
    assert topic.text[0] == errors.TABLE[code].sentence
    assert f"Exit code {errors.TABLE[code].kind.exit_code}." in topic.text[2]
    assert topics.find(code.lower(), NAMED) == [topic]


@pytest.mark.parametrize("word", WORDS)
def test_words_of_the_field(word: str) -> None:
    assert explained(word).text


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: f"{topic.kind}-{topic.name}")
def test_a_topic_says_something_and_its_references_lead_somewhere(topic: topics.Topic) -> None:
    assert topic.text or topic.settings
    assert not any("None" in part for part in topic.text)
    for name in topic.see:
        explained(name)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: f"{topic.kind}-{topic.name}")
def test_what_is_to_be_tried_can_be_meant(topic: topics.Topic) -> None:
    for command in topic.set:
        _, *words = shlex.split(command)
        _, bound, _ = build().parse_args(options.spread(words), exit_on_error=False, print_error=False)
        given = bound.arguments
        if words[0] == "train":
            made = systems.get(given.get("system") or "r3gan").Settings
            overrides = options.overrides(given.get("settings") or [], "train")
            build_settings(made, nested(overrides), system="")


@pytest.mark.parametrize("name", VERDICTS)
def test_a_verdict_explains_itself_and_names_the_verb(name: str) -> None:
    topic = explained(name.replace("_", " "), "word")
    assert topic.name == name
    assert "ganworks diagnose RUN" in topic.set
    assert len(topic.set) > 1, "and something to try"
    assert name in explained("verdict", "word").see
    assert any("verdict" in part.lower() for part in (*topic.text, *topic.see))


def test_no_word_stands_for_two_things_of_the_glossary() -> None:
    for name, found in NAMED.items():
        assert len({topic.name for topic in found if topic.kind == "word"}) <= 1, name
    kinds = [(topic.kind, topic.name) for topic in TOPICS]
    assert len(kinds) == len(set(kinds))


# The verb


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("Mode Collapse", "mode_collapse"),
        ("label-smoothing", "label_smoothing"),
        ("half_life", "average.half_life"),
        ("generator.lr.over", "generator.lr"),
        ("ema", "average"),
        ("E-set-01", "E-SET-01"),
    ],
)
def test_names_as_people_write_them(asked: str, name: str) -> None:
    assert topics.find(asked, NAMED)[0].name == name


def test_a_page(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["explain", "mode", "collapse"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("mode_collapse (word)\n\nThe generator makes few kinds of samples")
    assert "\ntry        ganworks train ring --set objective.r1=0.1 objective.r2=0.1\n" in text
    assert max(map(len, text.splitlines())) < 80


def test_a_formula_keeps_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    main(["explain", "semisupervised"])
    assert "\n    E -log p(y | x, real) over the few labelled samples" in capsys.readouterr().out


def test_without_a_name_it_lists_what_can_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    text = capsys.readouterr().out
    for name in ("hinge", "r1", "wgan_gp", "recall", "objective.loss", "E-USE-01", "generator", *BUILT):
        assert name in text


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "r1", "--json"]) == 0
    (topic,) = json.loads(capsys.readouterr().out)
    assert topic["kind"] == "penalty"
    assert "½ E_b ‖∂f/∂x_b‖²" in topic["text"][0]
    assert main(["explain", "--json"]) == 0
    assert sorted(json.loads(capsys.readouterr().out)) == sorted(topics.KINDS)


@pytest.mark.parametrize(
    ("typed", "meant"), [("hinje", "hinge"), ("mode colapse", "mode_collapse"), ("E-SET-0", "E-SET-01")]
)
def test_an_unknown_name_gets_the_nearest_of_all_kinds(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", *typed.split()]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error[E-NAME-09]: nothing is known of '{typed}'")
    assert meant in said.splitlines()[1]
