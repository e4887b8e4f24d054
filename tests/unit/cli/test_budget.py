"""``redshank budget``, on a folder."""

import json

import pytest


@pytest.fixture
def watched(redshank, tmp_path):
    """Two days of a sensor with a jump near the end, stored."""
    lines = []
    for number in range(560):
        hour, minute = divmod(number * 5, 60)
        odd = 25 * (540 <= number < 552) + 9 * (400 <= number < 403)
        row = {
            "sensor_id": "greenhouse-1",
            "timestamp": f"2026-01-{29 + hour // 24:02}T{hour % 24:02}:{minute:02}:00Z",
            "temperature": 20 + (number * 7919 % 13) * 0.1 + odd,
            "humidity": 60 + number * 104_729 % 11,
        }
        lines.append(json.dumps(row))
    file = tmp_path / "rows.ndjson"
    file.write_text("\n".join(lines))
    assert redshank("replay", file).status == 0
    return redshank


def test_the_promise_and_what_came_are_shown(watched):
    answer = watched("budget")
    assert answer.status == 0, answer.err
    assert answer.out.startswith("Alarm budget: 3 false alarms per sensor and 30 days\n")
    assert "All sensors together (1): 0.1 a day\n" in answer.out
    assert "marked false or without a mark" in answer.out
    told = watched("budget", "--json", "--sensor", "greenhouse-1").json
    assert told["measured"]["incidents"] == told["measured"]["unmarked"] >= 1


def test_a_preview_lists_what_would_have_come(watched):
    watched("budget", "--set", "0.0001")
    few = watched("budget", "--preview", "0.1", "--json").json
    many = watched("budget", "--preview", "300", "--json").json
    assert few["count"] <= many["count"] == len(many["incidents"])
    assert watched("budget", "--set", "1e-12").status == 0
    text = watched("budget", "--preview", "300", "--days", "2").out
    assert text.startswith("With a budget of 300 per sensor and 30 days, the last 2 days would")
    assert "(would be new)" in text


def test_a_budget_is_set_for_all_for_one_and_for_the_fleet(watched):
    assert watched("budget", "--set", "2", "--json").json["per_sensor_month"] == 2.0
    one = watched("budget", "--set", "5", "--sensor", "greenhouse-1", "--json").json
    assert one["sensors_with_own"] == {"greenhouse-1": 5.0}
    back = watched("budget", "--set", "0", "--sensor", "greenhouse-1", "--json").json
    assert back["sensors_with_own"] == {}
    fleet = watched("budget", "--set", "0.2", "--fleet-day", "--json").json
    assert fleet["per_fleet_day"] == 0.2
    assert fleet["per_sensor_month"] == pytest.approx(6.0)
    assert "(chosen: 0.2)" in watched("budget").out


@pytest.mark.parametrize(
    "wrong",
    [
        ("--preview", "1", "--set", "1"),
        ("--fleet-day", "--set", "1", "--sensor", "greenhouse-1"),
        ("--set", "0"),
        ("--preview", "-1"),
    ],
)
def test_what_makes_no_sense_is_refused(watched, wrong):
    answer = watched("budget", *wrong)
    assert answer.status in (1, 2)
    assert answer.err.startswith("error: ")
