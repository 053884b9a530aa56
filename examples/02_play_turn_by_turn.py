"""Play the game by hand on eight points of a ring: single turns, then rounds, without help and with.

A turn is one update of one player while the other holds still; a round is everybody's turn.

    python examples/02_play_turn_by_turn.py [ROUNDS]
"""

import sys

import ganworks
from ganworks import metrics, theory

rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 2500


def play(title: str, **settings: object) -> None:
    gan = ganworks.GAN("gan", **settings).start("ring", seed=0, steps=rounds)
    print(title)
    for step in range(1, rounds + 1):
        gan.round()
        if step % max(rounds // 5, 1) == 0:
            found = metrics.mode_coverage(gan.sample(1000), theory.ring())
            print(f"  {step:5}: {found.modes} modes, {found.high_quality:4.0%} close, balance {found.reverse_kl:.3f}")


gan = ganworks.GAN("gan").start("ring", seed=0)
print("D alone: it learns to tell, and its loss sinks below 2 log 2 = 1.386")
for _ in range(4):
    print("  ", gan.turn("discriminator"))
print("G alone: it climbs the slope of a D that holds still")
for _ in range(4):
    print("  ", gan.turn("generator"))

play("both, round after round; the balance over the modes is 0 where it is right")
play("the same with a penalty on the slope of D at the data", **{"objective.r1": 0.1})
