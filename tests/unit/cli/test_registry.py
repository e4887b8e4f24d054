"""``redshank sensors`` and ``redshank dead-letters``, on a folder and on a running service."""

import json

import pytest

from support.process import Process

TABLE = "sensor_id,name,site,tag.crop,channel.humidity.maximum\na,Annex,Farm,leek,100\nb,,Roof,,\n"
BAD = {"sensor_id": "a", "timestamp": "2026-01-31T12:00:00Z", "temperature": "warm"}
GOOD = BAD | {"temperature": 20.5}


@pytest.fixture
def table(tmp_path):
    file = tmp_path / "sensors.csv"
    file.write_text(TABLE)
    return file


def test_sensors_are_imported_listed_edited_exported_and_deleted(redshank, table, tmp_path):
    assert redshank("sensors", "import", table).out == (
        "2 created, 0 updated, 0 unchanged, 0 rejected\n"
    )
    listed = redshank("sensors", "list").out
    assert "Annex" in listed
    assert listed.endswith("2 of 2 sensors\n")
    answer = redshank(
        *("sensors", "edit", "a", "--owner", "Ada", "--tag", "bed=4", "--tag", "crop="),
        *("--minimum", "humidity=1", "--maximum", "humidity=", "--budget", "2", "--json"),
    )
    assert answer.status == 0, answer.err
    assert (answer.json["owner"], answer.json["budget"]) == ("Ada", 2.0)
    assert answer.json["tags"] == {"bed": "4"}
    humidity = answer.json["channels"]["humidity"]
    assert (humidity["minimum"], humidity["maximum"]) == (1.0, None)
    shown = redshank("sensors", "show", "a").out
    assert "Ada" in shown
    assert "tag bed" in shown
    assert redshank("sensors", "export", "out.csv").status == 0
    assert redshank("sensors", "import", "out.csv", "--json").json["unchanged"] == 2
    assert redshank("sensors", "export", "--site", "Roof").out.splitlines()[1].startswith("b,")
    assert redshank("sensors", "delete", "b", "--yes").status == 0
    gone = redshank("sensors", "show", "b")
    assert (gone.status, gone.err.count("\n")) == (1, 1)
    assert "there is no sensor 'b'" in gone.err


@pytest.mark.parametrize(
    ("text", "status", "says"),
    [
        ("sensor_id,latitude\na,north\n", 3, "line 2: latitude: 'north' is not a number"),
        ("sensor_id,latitude\na,91\nb,9\n", 3, "line 2: latitude: 91.0 should be less than"),
        ("sensor,site\na,b\n", 1, "names no sensor_id"),
    ],
)
def test_lines_that_cannot_be_used_are_told(redshank, table, text, status, says):
    table.write_text(text)
    answer = redshank("sensors", "import", table)
    assert answer.status == status
    assert says in answer.err


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("sensors", "list"), 1, "there is no store in"),
        (("sensors", "edit", "a"), 2, "say what to change"),
        (("sensors", "edit", "a", "--tag", "x"), 2, "write it as NAME=VALUE"),
        (("sensors", "edit", "a", "--minimum", "t=low"), 2, "'low' is not a number"),
        (("dead-letters", "purge"), 2, "say which"),
        (("dead-letters", "purge", "--all", "3"), 2, "say which"),
        (("dead-letters", "list", "--url", "http://127.0.0.1:1"), 1, "cannot be reached"),
        (("dead-letters", "list", "--url", "127.0.0.1"), 1, "cannot be reached"),
    ],
)
def test_what_makes_no_sense_is_one_clear_line(redshank, arguments, status, says):
    answer = redshank(*arguments)
    assert (answer.status, answer.err.count("\n")) == (status, 1)
    assert says in answer.err


def test_dead_letters_of_a_running_service_and_of_its_folder(redshank, tmp_path):
    key = {"REDSHANK_API_KEY": "correct-horse"}
    with Process(tmp_path / "data", environment=key) as process:
        url = ("--url", f"http://127.0.0.1:{process.port}")
        with process.client() as client:
            send(client, [GOOD, BAD, {"sensor_id": "b"}])
        listed = redshank("dead-letters", "list", *url, env=key)
        assert "temperature: 'warm' is not a number" in listed.out
        assert listed.out.endswith("2 of 2 dead letters\n")
        refused = redshank("dead-letters", "list", *url)
        assert (refused.status, "REDSHANK_API_KEY" in refused.err) == (1, True)
        config = {**key, "REDSHANK_PORT": str(process.port)}
        found = redshank("dead-letters", "list", "--data", process.data, "--json", env=config)
        assert found.json["total"] == 2
        assert process.stop() == 0
    folder = ("--data", process.data)
    first = found.json["dead_letters"][-1]["id"]
    answer = redshank("dead-letters", "show", first, *folder)
    assert json.loads(answer.out) == BAD
    assert answer.err.endswith("http: temperature: 'warm' is not a number (application/json)\n")
    done = redshank("dead-letters", "replay", first, *folder)
    assert done.out.startswith("1 dead letters read again: 0 replayed")
    assert redshank("dead-letters", "purge", "--reason", "warm", *folder).out == (
        "1 dead letters are gone\n"
    )
    assert redshank("dead-letters", "list", *folder, "--json").json["total"] == 1


def send(client, rows):
    headers = {"Content-Type": "application/json", "X-API-Key": "correct-horse"}
    answer = client.call("POST", "/readings", json.dumps(rows).encode(), headers)
    assert answer.json()["rejected"] == 2
