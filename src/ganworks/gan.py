"""The facade: a GAN as an object. Trainings as orders stand in `session`, and are offered here too."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from ganworks import evaluation, model, scoring
from ganworks.data.dataset import DataSet
from ganworks.data.gallery import OnBad
from ganworks.data.spec import Batch, DataSpec
from ganworks.errors import error
from ganworks.game import System
from ganworks.metrics.inputs import Labels
from ganworks.metrics.score import Score
from ganworks.metrics.spaces import FeatureSpace
from ganworks.session import Result, conduct, resume, train
from ganworks.session.forecast import Plan, forecast
from ganworks.session.order import Order
from ganworks.session.prepared import Session
from ganworks.settings import RunSettings, nested
from ganworks.training.engine import Engine
from ganworks.training.loop import Watcher
from ganworks.use.features import Side

__all__ = ["GAN", "Order", "Plan", "Result", "forecast", "resume", "train"]


class GAN:
    """A GAN: choose a system, train it, sample from it, score it, keep it.

    Args:
        system: One of `ganworks.systems.names()`; empty: chosen for the data.
        settings: Any of its settings by dotted key, such as {"objective.loss": "hinge"}.
    Raises: UsageError for an unknown system or setting, with the nearest known ones.
    """

    def __init__(self, system: str = "", **settings: Any) -> None:
        self._asked = system
        self._session = Session(RunSettings(system=system), nested(settings))
        self._loaded: model.Model | None = None
        self.run: Path | None = None

    def fit(
        self,
        data: Any = "digits",
        *,
        steps: int | None = None,
        time: float | None = None,
        seed: int = 0,
        run: str | Path | None = None,
        held_out: Any = None,
        patience: int = 0,
        size: int = 0,
        mirror: bool = False,
        on_bad: OnBad = "stop",
        device: str = "cpu",
        watchers: Sequence[Watcher] = (),
    ) -> Self:
        """Train from the start.

        Args:
            data: A data set's name, a path, arrays (N, D) or (N, C, H, W), or a density of `ganworks.theory`.
            steps: Rounds; None: what suits the data.
            time: Instead of steps: seconds of training time.
            seed: Every random number follows from it.
            run: Folder of the run, which must not exist; None: a new one below runs/.
            held_out: Data for scoring that training never sees.
            patience: Stop after so many looks, one at each sample grid, without a better score; 0: never. The model of
                the best one stands in `best/` of the run, for `GAN.load`; this object holds the last one.
            size: Side that picture files are brought to, in pixels; 0: chosen from them.
            mirror: Train on every picture twice, the second time with left and right exchanged.
            on_bad: Where a picture file cannot be read: `stop`, or `skip` it.
            device: Where rounds are played, such as `cuda`; samples and scores are made on the CPU.
            watchers: Called with each record.
        """
        if steps is not None and time is not None:
            raise error("E-ARG-01", reason="steps and time both say how long; give one")
        folder = None if run is None else Path(run)
        if folder is not None and folder.exists():
            raise error("E-RUN-01", path=folder)
        named = {"data": str(data)} if isinstance(data, str | Path) else {}
        options = {"patience": patience, "size": size, "mirror": mirror, "on_bad": on_bad, "device": device}
        self._restart(seed, steps=steps or 0, **options, **named)
        asked = self._asked or None
        order = Order(data=data, system=asked, steps=steps, time=time, run=folder, held_out=held_out)
        self.run = conduct(self._session, order, watchers).run
        return self

    def start(
        self,
        data: Any = "digits",
        seed: int = 0,
        *,
        steps: int | None = None,
        held_out: Any = None,
        device: str = "cpu",
    ) -> Self:
        """Prepare without training: afterwards `round` and `turn` make single steps. Nothing is written.

        Args:
            data, seed, held_out, device: As in `fit`.
            steps: The horizon of schedules and phases; None: what suits the data.
        """
        self._restart(seed, device=device)
        name = self._session.open(data, held_out).spec.name
        named = str(data) if isinstance(data, str | Path) else name
        self._session.run = self._session.run.model_copy(update={"data": named})
        self._session.begin(steps)
        return self

    def _restart(self, seed: int, **run: Any) -> None:
        """Forget what was trained or loaded; the settings stay."""
        self._session = Session(RunSettings(system=self._asked, seed=seed, **run), self._session.given)
        self._loaded = None

    def round(self) -> dict[str, float]:
        """Every player's turn once; returns the recorded terms."""
        return _numbers(self._engine().round())

    def turn(self, player: str) -> dict[str, float]:
        """One update of one player; it does not count as a step."""
        return _numbers(self._engine().turn(player))

    def _engine(self) -> Engine:
        if self._session.engine is None:
            raise error("E-USE-05", what="no training has begun")
        self._session.moved()
        return self._session.engine

    @property
    def _model(self) -> model.Model:
        if self._loaded is not None:
            return self._loaded
        if self._session.engine is None:
            raise error("E-USE-05", what="nothing is trained or loaded")
        return self._session.model

    @property
    def system(self) -> System:
        """The networks and losses."""
        return self._model.system

    @property
    def spec(self) -> DataSpec:
        """What it was trained on."""
        return self._model.system.data

    def sample(
        self,
        count: int = 64,
        seed: int = 0,
        label: model.Label = None,
        truncation: float | None = None,
        code: model.Label = None,
    ) -> Tensor:
        """Samples in the data's units: points (N, D), pictures (N, C, H, W) in [-1, 1].

        The same seed gives the same samples, and the first ten of 64 are those of `sample(10)`.

        Args:
            label: For systems that take labels: one class, or one for each sample, as numbers. None: drawn as the data
                has them; `draw` says which they are.
            truncation: For systems that take one (`biggan`, `stylegan2`): the smaller, the more typical and the more
                alike are the samples. None: none.
            code: For systems that find a code (`infogan`): one value, or one for each sample. None: drawn.
        """
        return self._model.sample(count, seed, label, truncation, code)

    def draw(
        self,
        count: int = 64,
        seed: int = 0,
        label: model.Label = None,
        truncation: float | None = None,
        code: model.Label = None,
    ) -> Batch:
        """The samples of `sample` as `x`, and the `label` or `code` of each where the system takes one: (N,) int64."""
        return self._model.draw(count, seed, label, truncation, code)

    def classify(self, x: Tensor) -> Tensor:
        """Logits (N, K) of the classes, by the averaged weights of a system that learns them (`semisupervised`).

        `infogan` has found its classes itself: they are the values of its first categorical code.

        Args:
            x: In the data's units: points (N, D), pictures (N, C, H, W) in [-1, 1].
        """
        return self._model.classify(x)

    def features(self, x: Tensor, of: Side = "discriminator", label: Labels | None = None) -> Tensor:
        """Features (N, F) of samples: what D's last layer judges, for other models to go on from.

        Args:
            x: In the data's units: points (N, D), pictures (N, C, H, W) in [-1, 1].
            of: `discriminator`; where the system has an encoder also `encoder`, its latents, and `generator`, what G's
                last layer makes a sample of on the way back from these.
            label: (N,), for systems whose D judges a sample as one of its label.
        """
        return self._model.features(x, of, label)

    def translate(self, images: Tensor, to: int | str | None = None, seed: int = 0) -> Tensor:
        """What a translator (`pix2pix`, `cyclegan`, `stargan`) makes of samples: one each, in [-1, 1] for pictures.

        Args:
            images: Pictures (N, C, H, W) in [-1, 1], of any height and width, or points (N, D).
            to: Name or number of the domain they are to be of: for `cyclegan` and `stargan`.
            seed: Of a translator's noise: that of `pix2pix` has dropout.
        """
        return self._model.translate(images, to, seed)

    def encode(self, x: Tensor) -> Tensor:
        """Latents (N, Z), by the averaged weights of a system that has an encoder (`bigan`).

        Args:
            x: In the data's units: points (N, D), pictures (N, C, H, W) in [-1, 1].
        """
        return self._model.encode(x)

    def decode(self, z: Tensor) -> Tensor:
        """The samples of latents (N, Z), in the data's units: `decode(encode(x))` is what is left of x."""
        return self._model.decode(z)

    def log_likelihood(self, x: Tensor) -> Tensor:
        """log p(x) in nats, (N,), of a system that knows its density (`mixture`), or a lower bound of it (`vae`).

        Args:
            x: In the data's units: points (N, D), pictures (N, C, H, W) in [-1, 1].
        """
        return self._model.log_likelihood(x)

    def score(
        self,
        data: Any = None,
        samples: int | None = None,
        *,
        metrics: Sequence[str] = (),
        space: str | FeatureSpace = "",
    ) -> list[Score]:
        """Scores of samples against data, each with its interval and the floor of real data.

        Args:
            data: As in `fit`; None: what it was trained on.
            samples: How many are drawn; None: what suits the data.
            metrics: Of `metrics.names()`; none: what suits the data.
            space: Feature space, by its name or as an object of yours; empty: what suits the data.
        """
        given = (self._session.data or self._model.run.data) if data is None else data
        opened = given if isinstance(given, DataSet) else evaluation.data_for(self.spec, given)
        scored = replace(self._model, rows=opened.held_out or opened)
        count = samples or min(scoring.usual_samples(opened.spec, quick=False), scored.most)
        same = opened.spec.fingerprint == self.spec.fingerprint
        parts, known = scored.parts, scored.likelihood
        return scoring.evaluate(parts, opened, count, trained_on=same, metrics=metrics, space=space, likelihood=known)

    def save(self, folder: str | Path) -> Path:
        """Write config.json, model.safetensors and README.md into a new folder."""
        model.save(self._model, Path(folder))
        return Path(folder)

    @classmethod
    def load(cls, path: str | Path) -> "GAN":
        """A GAN from a model folder or a run folder. Nothing in it is run as code."""
        loaded = model.load(Path(path))
        gan = cls(loaded.run.system)
        gan._loaded = loaded
        return gan


def _numbers(terms: Mapping[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in terms.items()}
