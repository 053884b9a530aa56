"""A verdict: what is wrong, since when, by which numbers, how sure that is, and what to do."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Name = Literal[
    "not_finite",
    "frozen",
    "divergence",
    "vanishing_gradient",
    "ignored_condition",
    "discriminator_overfitting",
    "overtrained",
    "oscillation",
    "weak_discriminator",
    "mode_collapse",
    "healthy",
]
NAMES: tuple[Name, ...] = get_args(Name)
"""The most important first: of two that hold, the earlier is the likelier cause of the later."""


@dataclass(frozen=True)
class Evidence:
    """One number that a person can check."""

    says: str
    """What it shows, in a sentence."""
    measure: str
    """Its name in metrics.jsonl."""
    value: float
    """Over the lines: the median, unless the sentence says otherwise."""
    bound: float
    """What it is compared with, from the table of thresholds."""
    lines: tuple[int, int]
    """First and last line of metrics.jsonl that it is taken from."""


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a training, or that nothing was found."""

    name: Name
    since_step: int
    confidence: float
    """(h + 1) / (n + 2) for n looks since then, h with every sign (Laplace's rule of succession); 1 of a fact."""
    evidence: Sequence[Evidence]
    remedy: str
    """A command; empty where there is nothing to mend."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @property
    def line(self) -> str:
        """It in a line: name, since when, the first number, the remedy."""
        if self.name == "healthy":  # all of them say how things stand
            return f"{self.name}: {'; '.join(each.says for each in self.evidence)}"
        first = f": {self.evidence[0].says}" if self.evidence else ""
        do = f"; try: {self.remedy}" if self.remedy else ""
        return f"{self.name} since step {self.since_step}{first}{do}"
