"""A training from its order to its result."""

from ganworks.session.conduct import Result, conduct, resume, session_of, train
from ganworks.session.order import Order
from ganworks.session.prepared import Session

__all__ = ["Order", "Result", "Session", "conduct", "resume", "session_of", "train"]
