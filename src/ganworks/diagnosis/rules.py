"""From the records of a run to verdicts. Each rule sees every look and says since when its signs are there.

Rules read numbers and settings only, never the networks: what they say can be checked in metrics.jsonl, and a run that
was killed can be judged like any other.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ganworks.diagnosis import figures
from ganworks.diagnosis.series import Series, middle, number
from ganworks.diagnosis.thresholds import bound
from ganworks.diagnosis.verdict import Evidence, Name


@dataclass(frozen=True)
class Finding:
    """A rule's signs are there."""

    name: Name
    since: int
    """The step."""
    hits: int
    """Looks since then that show every sign."""
    looks: int
    """Looks since then; 0 of what is no sign but a fact."""
    evidence: Sequence[Evidence]
    cause: str = ""
    """What of several causes it is, for the remedy."""


Signs = list[bool]
"""At each look, whether every sign is there."""
_FEW = 3


def window(count: int) -> int:
    """The last looks that decide: a third of them, at least three."""
    return max(_FEW, math.ceil(count / 3))


def since(signs: Signs) -> int | None:
    """The look from which on signs have been there in most looks up to now; None where they are not there now."""
    last = window(len(signs))
    needed = bound("looks.share")
    if len(signs) < _FEW or sum(signs[-last:]) < needed * min(last, len(signs)):
        return None
    starts = [at for at in range(len(signs)) if signs[at] and sum(signs[at:]) >= needed * (len(signs) - at)]
    return starts[0]


def enough(series: Series) -> bool:
    """Whether there is enough of a run to judge it."""
    return len(series.looks) >= bound("looks.least") and series.step(-1) >= bound("looks.steps")


class Judge:
    """The signs of a run, and the rules that read them."""

    def __init__(self, series: Series) -> None:
        self.series = series
        self.loss = str(series.setting("objective.loss", ""))

    def findings(self) -> Iterator[Finding]:
        """What every rule finds, in the order of the verdicts' names."""
        yield from self._not_finite()
        yield from self._frozen()
        if not enough(self.series):
            return
        for rule in (
            self._divergence, self._vanishing_gradient, self._ignored_condition, self._discriminator_overfitting,
            self._overtrained, self._oscillation, self._weak_discriminator, self._mode_collapse,
        ):  # fmt: skip
            yield from rule()

    def _found(
        self, name: Name, signs: Signs, evidence: Callable[[int], list[Evidence]], cause: str = ""
    ) -> Iterator[Finding]:
        """A finding, if the signs are there now. Evidence is made for the looks from one on."""
        at = since(signs)
        if at is not None:
            yield Finding(name, self.series.step(at), sum(signs[at:]), len(signs) - at, evidence(at), cause)

    def _median(self, says: str, name: str, limit: str, at: int) -> Evidence:
        """A look's number over the looks from one on, by its median; `{}` in the sentence stands for it."""
        value = middle(self.series.look(name)[at:])
        shown = math.nan if value is None else value
        return Evidence(says.format(shown), name, shown, bound(limit), self.series.lines(at))

    def _signs(self, *tests: tuple[str, Callable[[float], bool]]) -> Signs:
        """At which looks numbers pass their tests; a number that is not there passes none."""
        columns = [(self.series.look(name), test) for name, test in tests]
        return [
            all((value := column[at]) is not None and test(value) for column, test in columns)
            for at in range(len(self.series.looks))
        ]

    def _not_finite(self) -> Iterator[Finding]:
        series = self.series
        marked = [(line, record) for line, record in series.records if number(record, "rollbacks")]
        refused = "E-TRAIN" in series.failed or "not finite" in series.failed
        if not marked and not refused:
            return
        evidence = []
        if marked:
            line, record = marked[-1]
            count = int(record["rollbacks"])
            says = f"updates were not finite, and the run has gone back {count} time{'s' * (count > 1)}"
            evidence.append(Evidence(says, "rollbacks", count, 0, (marked[0][0], line)))
        else:
            line = series.records[-1][0] if series.records else 0
            at = series.records[-1][1]["step"] if series.records else 0
            evidence.append(Evidence(f"it ended after step {at}: {series.failed}", "step", at, 0, (line, line)))
        step = marked[0][1]["step"] if marked else series.records[-1][1]["step"] if series.records else 0
        yield Finding("not_finite", int(step), 0, 0, evidence)

    def _frozen(self) -> Iterator[Finding]:
        """A player whose weights stand still: no learning rate, or updates too small to count, from the start on."""
        series = self.series
        if len(series.looks) < _FEW:
            return
        for player in series.players:
            rates = [number(record, f"{player}.lr") for _, record in series.records]
            slopes = [number(record, f"gradient.{player}") for _, record in series.records]
            still = [rate == 0 or slope == 0 for rate, slope in zip(rates, slopes, strict=True)]
            moved = [value for value in series.look(f"probe.moved.{player}") if value is not None]
            tiny = len(moved) >= _FEW and all(value < bound("frozen.moved") for value in moved)
            if not still or (sum(still) < bound("frozen.share") * len(still) and not tiny):
                continue
            lines = series.records[0][0], series.records[-1][0]
            rate, slope = middle(rates) or 0.0, middle(slopes) or 0.0
            if sum(slope == 0 for slope in slopes) < bound("frozen.share") * len(slopes):
                says, cause = f"the {player}'s learning rate is {rate:g}: its weights stand still", f"{player}.lr"
                first = Evidence(says, f"{player}.lr", rate, 0, lines)
            else:
                says, cause = f"the {player}'s gradient is {slope:g}: nothing reaches its weights", f"{player}.gradient"
                first = Evidence(says, f"gradient.{player}", slope, 0, lines)
            evidence = [first]
            if moved:
                says = f"an update moves the {player}'s weights by {max(moved):.1e} of their length, at most"
                evidence.append(Evidence(says, f"probe.moved.{player}", max(moved), bound("frozen.moved"), lines))
            count = len(series.looks)
            yield Finding("frozen", int(series.records[0][1]["step"]), count, count, evidence, cause)

    def _divergence(self) -> Iterator[Finding]:
        """D's logits for reals and fakes drift apart without end, or the samples run away."""
        series = self.series
        count, evidence = len(series.looks), list[Evidence]()
        lines = series.records[0][0], series.records[-1][0]
        first, last = (figures.root_mean_square(part(figures.gap)) for part in (series.first, series.last))
        apart = max(bound("divergence.logits"), bound("divergence.growth") * first)
        if first and last >= apart:
            times = f"{last / first:.0f} times as far as in the first ten steps"
            says = f"D's logits of real and fake lie {last:.3g} apart, {times}"
            evidence.append(Evidence(says, "logit.real", last, apart, lines))
        away, begun = series.look("probe.distance_online"), self._begun()
        now = middle(away[-window(count) :])
        if now and now / begun >= bound("divergence.distance"):
            says = f"samples are {now / begun:.1f} times as far from real rows as those of a G that has learnt nothing"
            evidence.append(Evidence(says, "probe.distance_online", now / begun, bound("divergence.distance"), lines))
        if evidence:
            beyond = [
                bool(first and (figures.gap(record) or 0.0) >= apart)
                or bool(far and far >= bound("divergence.distance") * begun)
                for (_, record), far in zip(series.looks, away, strict=True)
            ]
            grown = beyond.index(True) if any(beyond) else count - 1
            yield Finding("divergence", series.step(grown), sum(beyond[grown:]), count - grown, evidence)

    def _begun(self) -> float:
        """How far from real rows a G is that has learnt nothing: as at the first look, or 1 if that is more.

        A constant in the middle of the data is 1 away, and a fast learner is much nearer at its first look.
        """
        first = next((value for value in self.series.look("probe.distance_online") if value is not None), 0.0)
        return max(first, 1.0)

    def _vanishing_gradient(self) -> Iterator[Finding]:
        """D is sure of everything, for a while, and next to nothing of that reaches G."""
        series, minimax = self.series, self.loss == "minimax"
        early = series.early("gradient.generator") or math.inf
        slopes = [
            None if value is None else value / early
            for value in (number(record, "gradient.generator") for _, record in series.looks)
        ]
        sure = self._signs(("probe.accuracy", lambda value: value > bound("saturated.accuracy")))
        dull = self._signs(("probe.saturation", lambda value: value < bound("vanishing.saturation")))
        faint = [slope is not None and slope < bound("vanishing.gradient") for slope in slopes]
        signs = [a and (b or (minimax and c)) for a, b, c in zip(sure, faint, dull, strict=True)]
        at = since(signs)
        if at is None or series.step(-1) - series.step(at) < min(bound("saturated.steps"), series.steps / 10):
            return

        def evidence(at: int) -> list[Evidence]:
            found = [self._median("D rates {:.1%} of pairs right", "probe.accuracy", "saturated.accuracy", at)]
            if minimax:
                says = "this loss pulls on G with {:.1e} of what the non-saturating one would"
                found.insert(0, self._median(says, "probe.saturation", "vanishing.saturation", at))
            slope = middle(slopes[at:])
            if slope is not None:
                says = f"G's gradient is {slope:.1e} of its median in the first 100 steps"
                limit = bound("vanishing.gradient")
                found.append(Evidence(says, "gradient.generator", slope, limit, series.lines(at)))
            return found

        yield from self._found("vanishing_gradient", signs, evidence, "minimax" if minimax else "")

    def _ignored_condition(self) -> Iterator[Finding]:
        """Samples do not show the label that was asked for, and real rows do. Of one kind they could not.

        Nor need they yet, where they come to show it: a G that is told by a classifier learns its labels after a while.
        """
        kinds = self.series.look("probe.kinds")
        told, floor, chance = (self.series.look(f"probe.{name}") for name in ("label", "label_floor", "label_chance"))
        signs = list[bool]()
        for at, (one, real, luck, many) in enumerate(zip(told, floor, chance, kinds, strict=True)):
            if one is None or real is None or luck is None:
                signs.append(False)
                continue
            reach, before = real - luck, middle(told[: (at + 1) // 2])
            rising = before is not None and one - before > bound("condition.rising") * reach
            shown = one - luck >= bound("condition.told") * reach
            varied = many is None or many >= bound("collapse.kinds")
            signs.append(reach > bound("condition.floor") and varied and not shown and not rising)

        def evidence(at: int) -> list[Evidence]:
            real, luck = middle(floor) or 0.0, middle(chance) or 0.0
            says = f"{{:.0%}} of samples look like the label asked for; real rows {real:.0%}, chance {luck:.0%}"
            limit = luck + bound("condition.told") * (real - luck)
            first = replace(self._median(says, "probe.label", "condition.told", at), bound=limit)
            says = "another label moves a sample by {:.2f} of the distance of two samples"
            return [first, self._median(says, "probe.condition", "condition.told", at)]

        yield from self._found("ignored_condition", signs, evidence)

    def _discriminator_overfitting(self) -> Iterator[Finding]:
        """D knows its training rows: it takes held-out ones for samples."""
        series = self.series
        trained, held_out = series.look("probe.accuracy_trained"), series.look("probe.accuracy")
        memory = series.look("probe.memory")
        signs = [
            a is not None and b is not None and m is not None
            and m > bound("overfitting.memory") and a - b > bound("overfitting.gap")
            for a, b, m in zip(trained, held_out, memory, strict=True)
        ]  # fmt: skip

        def evidence(at: int) -> list[Evidence]:
            gap = (middle(trained[at:]) or 0.0) - (middle(held_out[at:]) or 0.0)
            says = f"D rates {middle(trained[at:]) or 0:.0%} of pairs right with training rows, "
            says += f"and {middle(held_out[at:]) or 0:.0%} with held-out ones"
            known = "of the way from training rows to samples, D puts held-out rows at {:.0%}"
            found = [
                self._median(known, "probe.memory", "overfitting.memory", at),
                Evidence(says, "probe.accuracy_trained", gap, bound("overfitting.gap"), series.lines(at)),
            ]
            sides = "the mean sign of what D says of training rows is {:.2f}"
            return found + self._beside(self._median(sides, "probe.sign", "overfitting.sign", at))

        yield from self._found("discriminator_overfitting", signs, evidence)

    def _overtrained(self) -> Iterator[Finding]:
        """It was much better, D has become a coin, and G follows it away.

        As near as other real rows is as good as it gets: below that distances differ by chance.
        """
        series = self.series
        floor = middle(series.look("probe.distance_floor")) or 0.0
        away, right = series.look("probe.distance_online"), series.look("probe.accuracy")
        begun = self._begun()
        low, signs, best = bound("weak.accuracy"), list[bool](), math.inf
        for value, said in zip(away, right, strict=True):
            best = min(best, math.inf if value is None else max(value, floor))
            worse = value is not None and value > bound("overtrained.worse") * best
            coin = said is not None and 1 - low <= said <= low
            signs.append(worse and coin and best < bound("overtrained.learnt") * begun)

        def evidence(at: int) -> list[Evidence]:
            was, place = min((value, look) for look, value in enumerate(away[: at + 1]) if value is not None)
            was = max(was, floor)
            now = middle(away[at:]) or 0.0
            says = f"samples are {now / was:.1f} times as far from real rows as at step {series.step(place)}"
            return [
                Evidence(says, "probe.distance_online", now / was, bound("overtrained.worse"), series.lines(place)),
                self._median("D rates {:.0%} of pairs right, like a coin", "probe.accuracy", "weak.accuracy", at),
            ]

        yield from self._found("overtrained", signs, evidence)

    def _oscillation(self) -> Iterator[Finding]:
        """Now D has the upper hand, now G, and the samples run to and fro."""
        series = self.series
        right = series.look("probe.accuracy")
        count, least = len(right), int(bound("looks.least"))
        means = [(number(record, "probe.mean.1"), number(record, "probe.mean.2")) for _, record in series.looks]
        half = max(least, count // 2)
        swings = [start for start in range(count - least + 1) if self._swings(right[start:], means[start:])]
        if count - half not in swings:
            return
        start = swings[0]
        said = sorted(value for value in right[start:] if value is not None)
        low, high, lines = figures.quantile(said, 0.1), figures.quantile(said, 0.9), series.lines(start)
        moves = figures.moves(means[start:])
        path = figures.root_mean_square(moves)
        runs = f"the samples' mean moves by {path:.1f} standard deviations of the data from look to look"
        evidence = [Evidence(runs, "probe.mean.1", path, bound("oscillation.path"), lines)]
        out = figures.reach(means[start:])
        if out > bound("oscillation.reach"):
            says = f"and lies {out:.1f} times as far from the middle of the data as real rows do"
            evidence.append(Evidence(says, "probe.mean.1", out, bound("oscillation.reach"), lines))
        if low < bound("oscillation.low") and high > bound("oscillation.high"):
            says = f"D rates {low:.0%} of pairs right at one look and {high:.0%} at another (a tenth lies beyond each)"
            evidence.append(Evidence(says, "probe.accuracy", low, bound("oscillation.low"), lines))
        for name, players in (("generator", "G"), ("discriminator", "D")):
            back = f"two updates of {players} in a row have a cosine of {{:.2f}}: they turn back"
            evidence += self._beside(self._median(back, f"probe.cosine.{name}", "oscillation.back", start), below=True)
        evidence += self._repeats(start) + self._average(start)
        hits = 1 + sum(move > bound("oscillation.path") / 2 for move in moves)
        yield Finding("oscillation", series.step(start), hits, count - start, evidence)

    def _repeats(self, start: int) -> list[Evidence]:
        """Whether what D says of samples comes back after some steps."""
        lines = self.series.lines(start)
        told = [
            (int(record["step"]), value)
            for line, record in self.series.records
            if lines[0] <= line <= lines[1] and (value := number(record, "logit.fake")) is not None
        ]
        lag, likeness = figures.period([value for _, value in told])
        if not lag:
            return []
        says = f"D's logit of samples repeats itself about every {told[lag][0] - told[0][0]} steps, by {likeness:.2f}"
        return self._beside(Evidence(says, "logit.fake", likeness, bound("oscillation.repeats"), lines))

    def _average(self, start: int) -> list[Evidence]:
        """Whether weights that turn around each other average to worse samples."""
        kept, playing = (middle(self.series.look(name)[start:]) for name in ("probe.distance", "probe.distance_online"))
        if not kept or not playing:
            return []
        says = (
            f"the averaged weights' samples are {kept / playing:.1f} times as far from real rows as the playing ones'"
        )
        lines = self.series.lines(start)
        return self._beside(Evidence(says, "probe.distance", kept / playing, bound("oscillation.average"), lines))

    @staticmethod
    def _beside(found: Evidence, below: bool = False) -> list[Evidence]:
        """A number that decides nothing and is shown where it is beyond its bound."""
        return [found] if (found.value < found.bound if below else found.value > found.bound) else []

    def _swings(self, right: Sequence[float | None], means: Sequence[tuple[float | None, float | None]]) -> bool:
        """To and fro by more than the data's width; and past the data, or so that now D and now G has the better."""
        said = sorted(value for value in right if value is not None)
        path = figures.root_mean_square(figures.moves(means))
        if len(said) < bound("looks.least") or path < bound("oscillation.path"):
            return False
        low, high = figures.quantile(said, 0.1), figures.quantile(said, 0.9)
        chase = low < bound("oscillation.low") and high > bound("oscillation.high")
        return chase or figures.reach(means) > bound("oscillation.reach")

    def _weak_discriminator(self) -> Iterator[Finding]:
        """D tells nothing where a nearest neighbour tells nearly all."""
        low = bound("weak.accuracy")
        signs = self._signs(
            ("probe.accuracy", lambda value: value <= low),
            ("probe.told_apart", lambda value: value >= bound("weak.told_apart")),
        )
        says = "D rates {:.0%} of pairs of real rows and samples right; a coin 50 %"
        nearest = "the kind of the nearest other row tells {:.0%} of them apart"
        shares = [figures.penalties(record) for _, record in self.series.looks]
        much = (middle(shares[-window(len(shares)) :]) or 0.0) > bound("weak.penalty")

        def evidence(at: int) -> list[Evidence]:
            share = middle(shares[at:]) or 0.0
            part = f"{share:.0%} of what D minimises are penalties"
            return [
                self._median(says, "probe.accuracy", "weak.accuracy", at),
                self._median(nearest, "probe.told_apart", "weak.told_apart", at),
                *self._beside(
                    Evidence(part, "discriminator.adversarial", share, bound("weak.penalty"), self.series.lines(at))
                ),
            ]

        yield from self._found("weak_discriminator", signs, evidence, "penalty" if much else "")

    def _mode_collapse(self) -> Iterator[Finding]:
        """Samples are of few kinds, or all alike."""
        few = self._signs(("probe.kinds", lambda value: value < bound("collapse.kinds")))
        alike = self._signs(("probe.spread", lambda value: value < bound("collapse.spread")))
        signs = [a or b for a, b in zip(few, alike, strict=True)]
        yield from self._found("mode_collapse", signs, lambda at: [
            self._median("of the kinds that real rows have, samples have {:.0%}", "probe.kinds", "collapse.kinds", at),
            self._median("samples differ {:.2f} times as much as real rows", "probe.spread", "collapse.spread", at),
        ])  # fmt: skip
