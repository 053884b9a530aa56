"""From a name, a path or arrays to batches and back."""

from ganworks.data.builtin import BuiltIn, names
from ganworks.data.dataset import DataSet
from ganworks.data.order import Order
from ganworks.data.sources import form, open
from ganworks.data.spec import Batch, DataSpec

__all__ = ["Batch", "BuiltIn", "DataSet", "DataSpec", "Order", "form", "names", "open"]
