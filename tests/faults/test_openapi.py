"""Calls made up from the interface's own description: none breaks it, all answers are described."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.process import Process

schemathesis = pytest.importorskip("schemathesis", reason="pip install schemathesis")

import requests  # noqa: E402
from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

pytestmark = pytest.mark.faults

CHECKS = (
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
ELSEWHERE = ("/ingest",)
"""Calls that ask other servers."""
EXAMPLES = 50


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A redshank with a few readings."""
    with Process(tmp_path_factory.mktemp("openapi") / "data") as process:
        with process.client() as client:
            rows = [{"sensor_id": "a", "timestamp": 1_769_860_800 + i, "x": i} for i in range(50)]
            client.post_lines(rows)
        yield process


@pytest.fixture(scope="module")
def operations(process: Process) -> list[Any]:
    """Every call of the interface."""
    url = f"http://127.0.0.1:{process.port}/openapi.json"
    schema = schemathesis.openapi.from_url(url)
    found = [result.ok() for result in schema.get_all_operations()]
    return [operation for operation in found if operation.path not in ELSEWHERE]


def test_no_made_up_call_breaks_it(operations: list[Any]) -> None:
    broken = {}
    for operation in operations:
        if problem := problem_of(operation):
            broken[operation.label] = problem
    assert not broken, "\n\n".join(f"{label}\n{text}" for label, text in broken.items())


def problem_of(operation: Any) -> str | None:
    """What is wrong with the answers to made-up calls, None if nothing."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy())
    def answers_well(case: Any) -> None:
        case.call_and_validate(checks=CHECKS, timeout=30)

    try:
        answers_well()
    except (AssertionError, requests.RequestException, BaseExceptionGroup) as error:
        notes = getattr(error, "__notes__", [])
        return "\n".join([str(error), *notes])[:2000]
    return None
