"""Every installed detector obeys every law of the conformance suite."""

import pytest

from redshank.checks.detectors import CHECKS
from redshank.core import plugins

DETECTORS = plugins.names("redshank.detectors")


def test_the_default_detector_is_installed():
    assert "streaming" in DETECTORS


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", DETECTORS)
def test_detector(name, check):
    check(plugins.load("redshank.detectors", name))
