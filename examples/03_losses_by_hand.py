"""A GAN in plain PyTorch, with losses and penalties of ganworks as functions: two normal densities on a line.

The best discriminator between them is known, so one can see how close D comes.

    python examples/03_losses_by_hand.py [STEPS]
"""

import sys

import torch
from torch import nn

from ganworks import losses, penalties, theory

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 1500
torch.manual_seed(0)
data, samples = theory.Normal(0.0, 1.0), theory.Normal(1.5, 1.0)
best = theory.optimal_logit(data, samples)
points = torch.linspace(-1, 2.5, 8)[:, None]

for name, weight in (("non_saturating", 0.0), ("non_saturating", 1.0), ("hinge", 0.0)):
    loss = losses.get(name)
    critic = nn.Sequential(nn.Linear(1, 32), nn.ReLU(), nn.Linear(32, 1))
    rule = torch.optim.Adam(critic.parameters(), 1e-2)
    for _ in range(steps):
        real, fake = data.sample(256).requires_grad_(), samples.sample(256)
        logits = critic(real)
        total = loss.discriminator(logits, critic(fake)) + weight * penalties.r1(logits, real)
        rule.zero_grad()
        total.backward()
        rule.step()
    print(f"{name}, r1 {weight}: L_D = {total.item():.3f}")
    print("   logits of D   ", [f"{value:5.2f}" for value in critic(points)[:, 0].tolist()])
print("   log p - log q ", [f"{value:5.2f}" for value in best(points).tolist()])
