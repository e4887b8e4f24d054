"""Every store that is installed passes every check."""

import pytest

from redshank.adapters.store.sqlite import SqliteStore
from redshank.checks import stores
from redshank.core import plugins


@pytest.fixture(params=plugins.names("redshank.stores"))
def make(request, tmp_path):
    store = plugins.load("redshank.stores", request.param)
    return lambda name: store(tmp_path / f"{name}.db")


@pytest.mark.parametrize("check", stores.CHECKS, ids=lambda check: check.__name__)
def test_store(check, make):
    check(make)


@pytest.mark.parametrize(
    "check", [c for c in stores.CHECKS if c not in stores.LASTING], ids=lambda check: check.__name__
)
def test_store_in_memory(check):
    check(lambda name: SqliteStore(None))
