"""Settings: TOML on disk, pydantic inside, dotted keys on the command line."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import tomli_w
from pydantic import BaseModel, Field, ValidationError, model_validator

from ganworks.errors import error
from ganworks.registry import suggestion
from ganworks.schedules import FORMS, Betas, Count, Ramp, Rate, Schedule, Settings, Share, Weight, at

__all__ = [
    "SLOPES",
    "AverageSettings",
    "Betas",
    "Count",
    "GameSettings",
    "LatentSettings",
    "ObjectiveSettings",
    "Pace",
    "PlayerSettings",
    "Ramp",
    "Rate",
    "RunSettings",
    "Schedule",
    "Settings",
    "Share",
    "TurnSettings",
    "ViewSettings",
    "Weight",
    "at",
    "build",
    "choices",
    "dump",
    "fit",
    "inline",
    "keys",
    "merge",
    "nested",
    "read",
]


class LatentSettings(Settings):
    """Where the generator starts."""

    size: Count = Field(64, description="numbers in a latent z")
    prior: Literal["normal", "uniform"] = Field("normal", description="distribution of z: N(0, 1) or U[-1, 1)")


class ObjectiveSettings(Settings):
    """The adversarial loss, its penalties and remedies. A weight of 0 switches a term off; weights may be schedules."""

    loss: str = Field("non_saturating", description="adversarial loss, such as hinge; see `ganworks explain loss`")
    r1: Rate = Field(0.0, description="weight of ½E|∇f(x)|² on real samples")
    r2: Rate = Field(0.0, description="weight of ½E|∇f(G)|² on fake samples")
    finite_difference: Weight = Field(
        0.0, description="σ of the random steps by which r1 and r2 are measured; 0: by exact gradients"
    )
    gradient_penalty: Rate = Field(0.0, description="weight of E(|∇f| - 1)² between real and fake")
    dragan: Rate = Field(0.0, description="weight of E(|∇f| - 1)² around real samples")
    roth: Rate = Field(0.0, description="weight of ½(E(1 - D(x))²|∇f(x)|² + E D(G)²|∇f(G)|²)")
    lecam: Rate = Field(0.0, description="weight of the distance of logits from the other side's running mean")
    consistency: Rate = Field(
        0.0,
        description="weight of E(f(x) - f(Tx))² on real samples, T a small shift, or view.augment where that is set",
    )
    consistency_fake: Rate = Field(0.0, description="weight of E(f(G) - f(TG))² on fake samples, in D's loss")
    orthogonal: Rate = Field(0.0, description="weight of ½|WWᵀ∘(1 - I)|² over D's weights")
    feature_matching: Rate = Field(0.0, description="weight of |E φ(x) - E φ(G)|² in G's loss, φ D's features")
    clip: Weight = Field(0.0, description="bound on every weight of the discriminator")
    real_target: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="D's target for real samples (one-sided label smoothing; cross-entropy losses)"
    )
    flip: Share = Field(0.0, description="share of D's pairs whose labels real and fake are exchanged")
    every: Count = Field(1, description="penalties on D's slope on every k-th update of D only, with weight × k")

    @property
    def penalised(self) -> bool:
        """Whether a penalty looks at each sample's slope of D: batch norm in D would mix them."""
        return any(getattr(self, name) != 0 for name in SLOPES)


SLOPES = ("r1", "r2", "gradient_penalty", "dragan", "roth")
"""Penalties on D's slope with respect to its input."""


class ViewSettings(Settings):
    """What the discriminator sees, the same for real and fake."""

    noise: Rate = Field(0.0, description="standard deviation of instance noise, annealable")
    shift: Share = Field(0.0, description="pictures are moved by up to this share of their size, edges repeated")
    augment: list[Literal["flip", "color", "translate", "cutout"]] = Field(
        [], description="what is done to pictures before D sees them: flip, color, translate, cutout; in this order"
    )
    adaptive: Share = Field(
        0.0, description="target of r_t = E sign f(x), which the strength of view.augment follows; 0: full strength"
    )
    pack: Count = Field(1, description="samples that D judges together")
    replay: Annotated[int, Field(ge=0)] = Field(0, description="old fakes kept, of which D sees one half of the time")

    @model_validator(mode="after")
    def _adapts(self) -> "ViewSettings":
        if self.adaptive and not self.augment:
            raise ValueError("view.adaptive needs view.augment, whose strength it sets")
        return self


class TurnSettings(Settings):
    """Who moves, and how often."""

    discriminator: Count = Field(1, description="updates of D in a round, or epochs")
    generator: Count = Field(1, description="updates of G in a round, or epochs")
    unit: Literal["updates", "epochs"] = Field("updates", description="what the two count")
    unroll: Annotated[int, Field(ge=0)] = Field(0, description="updates of D that G looks ahead")
    simultaneous: bool = Field(False, description="gradients of both at the same weights, then both updates")

    @model_validator(mode="after")
    def _order(self) -> "TurnSettings":
        if self.unroll and self.simultaneous:
            raise ValueError("turns.unroll looks ahead in alternating turns: set turns.simultaneous = false")
        if self.simultaneous and (self.discriminator, self.generator, self.unit) != (1, 1, "updates"):
            raise ValueError("players who move at once make one update each: set turns.simultaneous = false")
        return self


class AverageSettings(Settings):
    """The moving average of the generator's weights, which samples are drawn from."""

    half_life: Rate = Field(
        10_000.0, description="samples after which an old weight counts half; 0: no average; may be a schedule"
    )
    rampup: Share = Field(0.05, description="half-life is at most this share of the samples seen so far; 0: no limit")


class PlayerSettings(Settings):
    """One player's networks and optimizer."""

    optimizer: Literal["adam", "rmsprop", "sgd"] = Field("adam", description="update rule")
    lr: Rate = Field(2e-4, description="learning rate, 0 or more; may be a schedule")
    betas: Betas = Field((0.5, 0.999), description="Adam's β₁ and β₂, RMSprop's decay β₂; β₂ may be a schedule")
    width: Count = Field(64, description="channels or units of a hidden layer")
    spectral_norm: bool = Field(False, description="every layer's weight divided by its largest singular value")


class GameSettings(Settings):
    """What every adversarial system can be told. Each system gives its paper's defaults."""

    batch: Count = Field(64, description="samples of one update")
    precision: Literal["float32", "bf16", "auto"] = Field(
        "float32", description="numbers in a player's loss; auto: measured before step 0, the faster one"
    )
    latent: LatentSettings = LatentSettings()
    objective: ObjectiveSettings = ObjectiveSettings()
    view: ViewSettings = ViewSettings()
    turns: TurnSettings = TurnSettings()
    average: AverageSettings = AverageSettings()
    generator: PlayerSettings = PlayerSettings()
    discriminator: PlayerSettings = PlayerSettings()

    @model_validator(mode="after")
    def _packs(self) -> "GameSettings":
        if self.batch % self.view.pack:
            raise ValueError(f"batch {self.batch} is no multiple of view.pack {self.view.pack}")
        return self


class Pace(Settings):
    """How often something is done."""

    every: Annotated[int, Field(ge=0)] = Field(0, description="steps between two; 0: chosen from the number of steps")


class RunSettings(Settings):
    """What belongs to the run and not to the system. It stands at the top of a settings file."""

    data: str = Field("digits", description="name or path of the data")
    system: str = Field(
        "", description="the GAN that is trained, one of `ganworks systems`; empty: chosen for the data"
    )
    steps: Annotated[int, Field(ge=0)] = Field(0, description="rounds of the run; 0: chosen for the data")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="every random number follows from it")
    held_out: str = Field("", description="data that training never sees; empty: a part of `data`")
    size: Annotated[int, Field(ge=0)] = Field(0, description="pixels of a picture's side; 0: chosen from the pictures")
    mirror: bool = Field(False, description="every picture is there twice, the second time mirrored")
    on_bad: Literal["stop", "skip"] = Field("stop", description="what happens where a picture cannot be read")
    derive: Literal["", "edges", "grey", "low", "mask"] = Field(
        "", description="what pairs' sources are, made of single pictures; empty: the pairs are there"
    )
    start_from: str = Field("", description="model or run whose weights the run starts from; empty: from fresh ones")
    start_from_sha256: str = Field("", description="of those weights; empty: as they are found")
    patience: Annotated[int, Field(ge=0)] = Field(
        0, description="looks at the score without a better one after which the run stops; 0: it never does"
    )
    device: str = Field("cpu", description="where rounds are played: cpu, cuda, cuda:1 or mps, as PyTorch calls them")
    record: Pace = Pace()
    sample: Pace = Pace()
    checkpoint: Pace = Pace()


Model = TypeVar("Model", bound=BaseModel)
_LARGEST = 8 << 20
"""Bytes of a settings file."""
_LONGEST = 300
"""Characters of a key that an error follows into a tree of unknown ones."""
_REASONS = {
    "int_type": "it is a whole number",
    "int_from_float": "it is a whole number",
    "float_type": "it is a number",
    "bool_type": "it is true or false",
    "string_type": "it is a text",
    "string_unicode": "it is a text in Unicode",
    "finite_number": "it is a finite number",
    "greater_than": "it is more than {gt}",
    "greater_than_equal": "it is {ge} or more",
    "less_than": "it is less than {lt}",
    "less_than_equal": "it is {le} or less",
    "missing": "it is a list of two numbers",
    "tuple_type": "it is a list of two numbers",
    "too_long": "it is a list of two numbers",
    "model_type": "it is a group of settings, not a single one",
}
"""What pydantic finds wrong with a value, as what the value is to be."""


def build(model: type[Model], *layers: Mapping[str, Any], system: str = "", where: str = "") -> Model:
    """A settings object: the model's defaults, with nested values laid over them one after another.

    Raises: UsageError that names the first wrong key, what was given, what is allowed, and close keys.
    """
    values: dict[str, Any] = model().model_dump(by_alias=True)
    for layer in layers:
        values = merge(values, fit(model, layer))
    try:
        return model.model_validate(values)
    except ValidationError as caught:
        raise _wrong_setting(caught, model, system, where) from None


def _wrong_setting(caught: ValidationError, model: type[BaseModel], system: str, where: str) -> Exception:
    """The error for the first thing that is wrong: an unknown key, a value, or two that do not go together."""
    problem = caught.errors(include_url=False)[0]
    kind, given, place = problem["type"], problem["input"], problem["loc"]
    if kind == "missing" and isinstance(place[-1], str):
        place = place[:-1]  # a schedule that lacks an end
    last = len(place) - 1 if kind == "extra_forbidden" else -1  # a key, even where it is called `number`
    parts = [part for at, part in enumerate(place) if isinstance(part, str) and (at == last or part not in FORMS)]
    name = ".".join(parts)
    known = [key for key, _ in keys(model)]
    single = kind.endswith("_type") or kind == "literal_error"
    below_a_value = name in known and single and isinstance(given, Mapping)  # batch.size
    if kind == "extra_forbidden" or below_a_value:
        while isinstance(given, Mapping) and given and "from" not in given and len(name) < _LONGEST:
            key, given = next(iter(given.items()))
            name = f"{name}.{key}"
        known += [] if model is RunSettings else [key for key, _ in keys(RunSettings)]
        if "ramp" in place:
            start = name.rpartition(".")[0]
            known = [f"{start}.{field.alias or key}" for key, field in Ramp.model_fields.items()]
        near = suggestion(name, (key for key in known if key != name))
        return error("E-NAME-04", name=name, system=system, where=_line(where, name), details=near)
    if kind != "model_type" and not any(f"{name}.".startswith(f"{key}.") for key in known):
        return error("E-SET-02", reason=_reason(problem), system=system, where=where)
    words = problem.get("ctx", {}).get("expected", "") if kind == "literal_error" else ""
    near = suggestion(given, re.findall(r"'(\w+)'", words)) if isinstance(given, str) else []
    return error(
        "E-SET-01", name=name, value=_written(given), reason=_reason(problem), where=_line(where, name), details=near
    )


def _reason(problem: Mapping[str, Any]) -> str:
    """What a value must be, in a sentence."""
    kind, context, last = problem["type"], problem.get("ctx", {}), problem["loc"][-1:]
    if kind == "missing" and isinstance(last[0], str):
        return f"a schedule needs `{last[0]}`"
    if kind in _REASONS:
        return _REASONS[kind].format(**context)
    if kind == "literal_error":
        return f"it is {context['expected'].replace(chr(39), '')}"
    return str(problem["msg"]).removeprefix("Value error, ").replace("Input should", "it should")


def _written(value: object) -> str:
    """A value as an error shows it; some cannot be written at all."""
    try:
        return repr(value)
    except (RecursionError, ValueError):  # nested too deeply; an integer with thousands of digits
        return f"this {'list' if isinstance(value, list | Mapping) else 'number'}"


def _line(where: str, name: str) -> str:
    """The settings file with the line that sets a key; empty where something else has set it, such as --set."""
    try:
        lines = Path(where).read_text("utf-8", errors="replace").splitlines()
    except (OSError, ValueError):
        return where
    table = ""
    for number, line in enumerate(lines, 1):
        if header := re.match(r"\s*\[([^\[\]]+)\]", line):
            table = f"{header[1]}."
        key = re.sub(r"[\s\"']", "", header[1] if header else table + line.partition("=")[0])
        if name == key or (not header and name.startswith(f"{key}.")):
            return f"{where}, line {number}"
    return ""


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every dotted key of a settings model with its pydantic field."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Settings):
            yield from keys(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def nested(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """{"objective.loss": "hinge"} → {"objective": {"loss": "hinge"}}."""
    tree: dict[str, Any] = {}
    for key, value in dotted.items():
        branch = value
        for part in reversed(key.split(".")):
            branch = {part: branch}
        tree = merge(tree, branch)
    return tree


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings with others laid over them."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        # A ramp is one value: half of another ramp must not shine through.
        both = isinstance(below, Mapping) and isinstance(value, Mapping) and "from" not in value
        merged[key] = merge(below, value) if both and isinstance(below, Mapping) else value
    return merged


def fit(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as a person writes them, brought to the types of a model: a single value for a list of one."""
    fitted = dict(values)
    for name, value in values.items():
        field = model.model_fields.get(name)
        if field is None:
            continue
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Settings) and isinstance(value, Mapping):
            fitted[name] = fit(inner, value)
        elif getattr(inner, "__origin__", None) is list and not isinstance(value, list):
            fitted[name] = [value]
    return fitted


def read(path: Path) -> dict[str, Any]:
    """A settings file as nested values.

    Raises: UsageError if it is not there or is not TOML, with the line.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise error("E-SET-04", path=path) from None
    if len(content) > _LARGEST:
        raise error("E-SET-03", path=path, reason=f"it is larger than {_LARGEST >> 20} MB")
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text"
    except RecursionError:
        reason = "its lists or tables are nested too deeply"
    except ValueError as caught:  # also an integer of thousands of digits, which is no TOMLDecodeError
        reason = str(caught)
    raise error("E-SET-03", path=path, reason=reason)


def dump(*models: BaseModel) -> str:
    """Settings as TOML; what `read` reads back is equal."""
    values: dict[str, Any] = {}
    for model in models:
        values |= model.model_dump(mode="json", by_alias=True)
    return tomli_w.dumps(values)


def choices(annotation: Any) -> tuple[str, ...]:
    """The words a setting may take, where it is one of a few words, or some of them."""
    if getattr(annotation, "__origin__", None) is list:
        (annotation,) = get_args(annotation)
    return tuple(get_args(annotation)) if getattr(annotation, "__origin__", None) is Literal else ()


def inline(value: Any) -> str:
    """A setting's value as --set takes it: TOML on one line, and words without quotes."""
    if not isinstance(value, str):
        return _toml(value)
    try:
        tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return value
    return _toml(value)  # "5" is not 5


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
