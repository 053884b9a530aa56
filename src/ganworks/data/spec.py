"""What a data set is, as JSON, and what a batch is."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

Kind = Literal["points", "images", "pairs", "domains", "captions", "table", "tokens", "audio"]


class Batch(Mapping[str, Tensor]):
    """A frozen mapping from names to tensors that share their first axis."""

    __slots__ = ("_tensors",)

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = dict(tensors)

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __repr__(self) -> str:
        return f"Batch({', '.join(f'{name}={tuple(t.shape)}' for name, t in self.items())})"

    @property
    def count(self) -> int:
        """Rows of the batch."""
        return len(next(iter(self._tensors.values())))

    @property
    def made(self) -> Tensor:
        """What a system learns to make: `target` of pairs, else `x`."""
        return self._tensors["target" if "target" in self._tensors else "x"]

    def to(self, device: str) -> "Batch":
        """The same values on a device."""
        return self if device == "cpu" else Batch({name: values.to(device) for name, values in self.items()})


class DataSpec(BaseModel):
    """What a system may know of the data before its networks are built. It travels with the model as JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: Kind
    shape: tuple[Annotated[int, Field(ge=1)], ...]
    """What a system makes: (D,) for points, (C, H, W) for images, and of pairs for the targets."""
    count: Annotated[int, Field(ge=0)]
    """Rows for training."""
    source: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """(C, H, W) of what targets are made from; of pairs only."""
    derived: str = ""
    """How those sources were made of the targets: edges, grey, low or mask; empty: they were there."""
    name: str = ""
    fingerprint: str = ""
    """SHA-256 of the content."""
    classes: tuple[str, ...] = ()
    """Names of the labels, or of the domains, 0 … K-1; empty where there are none."""
    class_weights: tuple[float, ...] = ()
    """Share of each class in the data: labels are drawn from it where none is asked for."""
    center: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    """Points are (value - center) / scale inside; empty: taken as they are."""

    @property
    def noun(self) -> str:
        """What the rows are, in a word."""
        return "pictures" if self.kind == "domains" and self.pictures else self.kind

    @property
    def pictures(self) -> bool:
        """Whether pictures are made: of images, pairs and domains of pictures."""
        return len(self.shape) == 3

    @model_validator(mode="after")
    def _standardised(self) -> "DataSpec":
        if len(self.center) != len(self.scale) or (self.center and self.shape[-1:] != (len(self.center),)):
            raise ValueError("`center` and `scale` have one number a coordinate, or none")
        return self

    def encode(self, values: Tensor) -> Tensor:
        """User objects to what networks see: points standardised, images in [-1, 1] already."""
        if not self.center:
            return values
        return (values - torch.tensor(self.center)) / torch.tensor(self.scale)

    def decode(self, values: Tensor) -> Tensor:
        """The inverse of `encode`."""
        if not self.center:
            return values
        return values * torch.tensor(self.scale) + torch.tensor(self.center)
