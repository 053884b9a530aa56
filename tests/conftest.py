"""What every test stands on: one thread, checked shapes, no network."""

import os
from typing import Any, Self

os.environ.setdefault("OMP_NUM_THREADS", "1")

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

_checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # as in mypy, an int is a float too


def checked(function: Any) -> Any:
    """Check a function's types at every call; `Self` is left to mypy, as functions are checked without their class."""
    hints = getattr(function, "__annotations__", {})
    for name in [name for name, hint in hints.items() if hint is Self]:
        del hints[name]
    return _checked(function)


# Nobody's cache is read or written, unless a test makes one.
os.environ["GANWORKS_CACHE"] = "off"

# Before the first import of ganworks: from here on shapes and types of every call are checked.
install_import_hook("ganworks", "conftest.checked")

import socket
from collections.abc import Iterator

import pytest
import torch

pytest.register_assert_rewrite("house")
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every connection to another machine fails the test that tried it."""
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)
    return


_EXACT = {
    "test_diagnosis_diversity", "test_diagnosis_in_runs", "test_diagnosis_probe", "test_optimum",
    "test_session_patience", "test_session_scene", "test_training_probes", "test_training_resume",
}  # fmt: skip
"""Modules about these numbers, or with runs that several tests share."""


@pytest.fixture(autouse=True)
def few_draws(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of tests train on points: what is measured, drawn and reported beside that is whole in its own tests."""
    if request.module.__name__ not in _EXACT:
        monkeypatch.setattr("ganworks.optimum.distance.DRAWS", 200)
        monkeypatch.setattr("ganworks.diagnosis.diversity.POINTS", 64)
        monkeypatch.setattr("ganworks.diagnosis.probe.POINTS", 64)
        monkeypatch.setattr("ganworks.diagnosis.diversity.PICTURES", 32)
        monkeypatch.setattr("ganworks.session.ending.page", lambda run, tell: None)
        monkeypatch.setattr("ganworks.session.scene._PLACES", 48)
        monkeypatch.setattr("ganworks.session.scene._COARSE", 24)


@pytest.fixture
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
