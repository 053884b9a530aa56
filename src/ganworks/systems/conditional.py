"""Conditional GAN: both players are told the class (Mirza and Osindero 2014).

D judges whether x is real as one of class y, G makes an x of class y from a latent: min over G, max over D of
E log D(x|y) + E log(1 - D(G(z|y)|y)) (equation 2).

The paper joins y with the inputs of fully connected maxout layers and trains by SGD with momentum. A D can leave such
an input aside. Here it cannot: D is the projection of Miyato and Koyama 2018 (arXiv:1802.05637),
f(x, y) = head(φ(x)) + w ⟨e(y), φ(x)⟩, w `projection`. G gets y as the paper has it, one-hot beside z.

Departures, all for CPU minutes: the projection; the networks (networks/compact.py) and Adam of r3gan; its loss, which
judges real and fake in pairs, with both penalties on D's slope: a pair has one label. The fakes of an update take the
labels of the real batch that it compares them with, so they are those of the data.

Letters: B batch, Z latent, K classes.
"""

from pydantic import Field
from torch import nn

from ganworks.adversarial import ClassConditional
from ganworks.networks.pair import Sizes
from ganworks.networks.projection import Labelled, Projection
from ganworks.objective import Objective
from ganworks.settings import Weight
from ganworks.systems.r3gan import R3GAN, R3GANSettings


class ConditionalSettings(R3GANSettings):
    """Those of r3gan, and how much D hears of the label."""

    projection: Weight = Field(1.0, description="weight of the label in what D says; 0: D is not told the label")


class Conditional(ClassConditional, R3GAN):
    """The game of r3gan for each class at once: the label reaches both players."""

    name = "conditional"
    paper = "Mirza and Osindero 2014, Conditional Generative Adversarial Nets, arXiv:1411.1784"
    Settings = ConditionalSettings
    settings: ConditionalSettings

    def sizes(self) -> Sizes:
        """G starts from a latent and a label."""
        sizes = super().sizes()
        return sizes._replace(latent=sizes.latent + len(self.data.classes))

    def set_up(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        joint: bool = True,
        objective: type[Objective] = Objective,
    ) -> None:
        """Show both networks the label."""
        classes, pack = len(self.data.classes), self.settings.view.pack
        judge = Projection(discriminator, classes, pack, self.settings.projection)
        super().set_up(Labelled(generator, classes), judge, joint=joint, objective=objective)
