"""The house test for remedies: each resumes, changes the game, needs what it saves, and looks at single samples."""

import pytest
from house import differing, engine, everything_saved_is_needed, halves_agree, played

REMEDIES = {
    "r1, r2": {"objective.r1": 0.5, "objective.r2": 0.5},
    "lazy": {"objective.r1": 0.5, "objective.every": 2},
    "finite difference": {"objective.r1": 0.5, "objective.r2": 0.5, "objective.finite_difference": 0.1},
    "gradient penalty": {"objective.gradient_penalty": 1.0},
    "dragan": {"objective.dragan": 1.0},
    "roth": {"objective.roth": {"from": 2.0, "to": 0.02, "shape": "exponential"}},
    "lecam": {"objective.lecam": 0.3},
    "consistency": {"objective.consistency": 1.0},
    "consistency, fakes": {"objective.consistency_fake": 1.0},
    "orthogonal": {"objective.orthogonal": 0.1},
    "feature matching": {"objective.feature_matching": 1.0},
    "clipping": {"objective.clip": 0.5},
    "smoothing": {"objective.real_target": 0.9},
    "flipping": {"objective.flip": 0.3},
    "replay": {"view.replay": 12},
    "annealed noise": {"view.noise": {"from": 0.5, "to": 0.0}},
    "packing": {"view.pack": 2},
    "augmentation": {"view.augment": ["flip", "color", "translate", "cutout"]},
    "augmentation, packed": {"view.augment": ["flip", "cutout"], "view.pack": 2},
    "adaptive": {"view.augment": ["flip", "translate"], "view.adaptive": 0.3},
    "augmentation, consistency": {"view.augment": ["translate"], "objective.consistency_fake": 1.0},
    "spectral norm": {"discriminator.spectral_norm": True, "generator.spectral_norm": True},
    "simultaneous": {"turns.simultaneous": True},
    "two and three": {"turns.discriminator": 3, "turns.generator": 2},
    "epochs": {"turns.unit": "epochs"},
    "look-ahead": {"turns.unroll": 2},
    "uniform": {"latent.prior": "uniform"},
    "bf16": {"precision": "bf16"},
    "bf16, lazy": {"precision": "bf16", "objective.r1": 0.5, "objective.every": 2},
}
KEPT = {"lecam": "points", "replay": "points", "spectral norm": "points", "adaptive": "images"}
"""Remedies that have something of their own to save, and what they play on."""
SYSTEM = {"points": "gan", "images": "dcgan"}
OF_PICTURES = {remedy for remedy, settings in REMEDIES.items() if "view.augment" in settings}
WHOLE = {"dragan", "lecam", "feature matching", "replay", "epochs", "look-ahead", "bf16", "bf16, lazy"}
"""Remedies that look at a whole batch: its deviation, its means, its fakes. And bf16 rounds halves of it otherwise."""


@pytest.mark.parametrize(
    ("name", "kind", "remedy"),
    [
        (name, kind, remedy)
        for kind, name in SYSTEM.items()
        for remedy in REMEDIES
        if kind == "images" or remedy not in OF_PICTURES
    ],
)
def test_every_remedy_resumes_to_the_same_bits_and_changes_the_game(name, kind, remedy):
    whole = played(name, kind, **REMEDIES[remedy])
    assert differing(whole, played(name, kind, 3, **REMEDIES[remedy])) == []
    plain = played(name, kind)
    assert whole.keys() != plain.keys() or differing(whole, plain)


@pytest.mark.parametrize("remedy", KEPT)
def test_every_remedy_needs_what_it_saves(remedy):
    kind = KEPT[remedy]
    name = SYSTEM[kind]
    before, after = engine(name, kind).state(), engine(name, kind, **REMEDIES[remedy]).state()
    assert after.keys() - before.keys()
    everything_saved_is_needed(name, kind, **REMEDIES[remedy])


@pytest.mark.parametrize("remedy", sorted(set(REMEDIES) - WHOLE))
def test_halves_of_a_batch_agree_with_every_remedy_of_samples(double_precision, remedy):
    """In float64: `consistency` is a small difference of large logits, whose rounding is the processor's."""
    kind = "images" if remedy in OF_PICTURES else "points"
    halves_agree(SYSTEM[kind], kind, **REMEDIES[remedy])
