"""A budget for the whole fleet and a day, and sensors that come and go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redshank.pipeline.budget import Budget
from redshank.pipeline.sharing import share


def test_everybody_gets_an_equal_part():
    assert share(0.5, 3, []) == pytest.approx(5.0)


def test_budgets_of_their_own_are_taken_off_first():
    assert share(0.5, 3, [7.0]) == pytest.approx(4.0)


def test_the_others_are_left_with_something():
    assert share(0.5, 3, [1000.0]) == pytest.approx(0.5)


def test_the_first_sensor_may_spend_everything():
    assert share(0.5, 0, []) == pytest.approx(15.0)


budgets = st.floats(0.001, 1e6)


@given(budgets, st.integers(0, 5), st.lists(budgets, max_size=3))
def test_a_share_is_a_budget_and_never_more_than_the_whole(per_fleet_day, others, taken):
    part = share(per_fleet_day, others + len(taken), taken)
    assert Budget(part).per_sensor_month == part
    assert part <= per_fleet_day * 30 * (1 + 1e-9)


def test_the_fleet_budget_is_kept_over_a_restart():
    budget = Budget(5.0, {"a": 1.0}, per_fleet_day=2.0)
    assert Budget.from_setting(budget.to_setting(), budget.confirmation) == budget
    plain = Budget(5.0)
    assert "per_fleet_day" not in plain.to_setting()
