"""The registry: edits that lose nothing, tables in and out, sites and states."""

import csv
import io
import threading

import pytest

from redshank.core.ports import Commit, Parcel
from redshank.core.records import ChannelInfo, SensorInfo
from redshank.core.registry import patched

CSV = {"Content-Type": "text/csv"}


def imported(call, text):
    return call.post("/sensors/import", content=text.encode(), headers=CSV)


def exported(call, query=""):
    answer = call.get(f"/sensors.csv{query}")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text)))


def sensor(call, sensor_id):
    return call.get(f"/sensors/{sensor_id}", headers={"Accept": "application/json"}).json()


def tell(service, info):
    service.context.bus.publish(Parcel(sensors=[info]), "box").result(10)


# --- edits ---------------------------------------------------------------------------------------


def test_owner_and_bounds_are_set_and_shown(watched):
    edit = {
        "owner": "Ada",
        "channels": {"humidity": {"maximum": 95}, "flow": {"unit": "l/min", "minimum": 0}},
    }
    changed = watched.call("PATCH", "/sensors/greenhouse-1", json=edit).json()
    assert changed["owner"] == "Ada"
    assert changed["channels"]["humidity"]["maximum"] == 95
    assert changed["channels"]["humidity"]["unit"] == "%"
    assert (changed["channels"]["flow"]["unit"], changed["channels"]["flow"]["minimum"]) == (
        "l/min",
        0,
    )
    edit = {"channels": {"humidity": {"maximum": None}}}
    changed = watched.call("PATCH", "/sensors/greenhouse-1", json=edit).json()
    assert changed["channels"]["humidity"]["maximum"] is None
    assert changed["channels"]["flow"]["minimum"] == 0


def test_a_time_zone_is_set_by_its_name(watched):
    path = "/sensors/greenhouse-1"
    changed = watched.call("PATCH", path, json={"timezone": "Europe/Berlin"}).json()
    assert changed["timezone"] == "Europe/Berlin"
    refused = watched.call("PATCH", path, json={"timezone": "Berlin"})
    assert refused.status_code == 422
    assert "is not a time zone: use a name such as Europe/Berlin" in refused.text
    assert watched.call("PATCH", path, json={"timezone": ""}).json()["timezone"] == ""


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"unit": "°F"}, "channels.temperature.unit", "temperature is kept in °C"),
        ({"minimum": 5, "maximum": 4}, "channels.temperature.minimum", "above the maximum, 4"),
        ({"minimum": "low"}, "channels.temperature.minimum", "number"),
        ({"min": 1}, "channels.temperature.min", "not permitted"),
    ],
)
def test_a_channel_that_cannot_be_so_is_refused(watched, fields, field, reason):
    edit = {"name": "X", "channels": {"temperature": fields}}
    answer = watched.call("PATCH", "/sensors/greenhouse-1", json=edit)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert reason in error["reason"]
    assert sensor(watched.call, "greenhouse-1")["name"] == "greenhouse-1"


def test_concurrent_edits_lose_nothing(watched):
    runner = watched.context.runner
    hold, held = threading.Event(), threading.Event()

    def wait(info):
        held.set()
        hold.wait(10)

    first = runner.edit_sensors({"x": wait})
    assert held.wait(10)
    edits = [
        runner.edit_sensors({"greenhouse-1": edit})
        for edit in (changing(name="Annex"), changing(site="Farm"), changing(budget=7.5))
    ]
    hold.set()
    for edit in (first, *edits):
        edit.result(10)
    found = sensor(watched.call, "greenhouse-1")
    assert (found["name"], found["site"], found["budget"]) == ("Annex", "Farm", 7.5)
    assert watched.call.get("/budget").json()["sensors_with_own"] == {"greenhouse-1": 7.5}


def changing(**fields):
    return lambda info: patched(info, fields)


def test_sources_leave_alone_what_a_person_set(service):
    channels = {"flow": ChannelInfo("flow", "l/min", "Flow")}
    box = SensorInfo("box", "Box 7", "Town", 52.5, 13.4, tags={"model": "x"}, channels=channels)
    tell(service, box)
    edit = {
        "name": "Lake",
        "owner": "Ada",
        "channels": {"flow": {"maximum": 9, "unit": "l/s"}},
        "budget": 2,
    }
    assert service.call("PATCH", "/sensors/box", json=edit).status_code == 200
    tell(service, SensorInfo("box", "Box 7b", "City", 53.0, 13.4, channels=channels))
    found = sensor(service.call, "box")
    assert (found["name"], found["owner"], found["budget"]) == ("Lake", "Ada", 2)
    assert (found["site"], found["latitude"], found["tags"]) == ("City", 53.0, {"model": "x"})
    flow = found["channels"]["flow"]
    assert (flow["unit"], flow["title"], flow["maximum"]) == ("l/s", "Flow", 9)


# --- tables --------------------------------------------------------------------------------------


def test_a_table_registers_describes_and_leaves_alone(watched):
    call = watched.call
    text = (
        "sensor_id,name,site,latitude,longitude,exposure,owner,tag.crop,channel.humidity.maximum\n"
        "greenhouse-1,Greenhouse,Farm,52.5,13.4,indoor,Ada,leek,99\n"
        'new,"Roof, north",Farm,,,outdoor,,,\n'
    )
    answer = imported(call, text).json()
    assert [row["result"] for row in answer["rows"]] == ["updated", "created"]
    assert (answer["created"], answer["updated"], answer["rejected"]) == (1, 1, 0)
    found = sensor(call, "greenhouse-1")
    assert (found["owner"], found["tags"], found["readings"]) == ("Ada", {"crop": "leek"}, 560)
    assert found["channels"]["humidity"]["maximum"] == 99
    assert sensor(call, "new")["name"] == "Roof, north"
    assert {row["result"] for row in imported(call, text).json()["rows"]} == {"unchanged"}
    assert imported(call, "sensor_id;tag.bed\ngreenhouse-1;4\n").json()["updated"] == 1
    assert sensor(call, "greenhouse-1")["tags"] == {"crop": "leek", "bed": "4"}


def test_what_is_exported_can_be_imported_elsewhere(start):
    one, other = start(), start()
    odd = SensorInfo(
        "=1+1",
        'a "b"\nc',
        "-Farm",
        52.5,
        -13.4,
        exposure="outdoor",
        owner="@Ada",
        budget=2.5,
        tags={"crop": "leek"},
        channels={"flow.rate": ChannelInfo("flow.rate", "l/min", "Flow", minimum=-1.0)},
    )
    one.context.runner.write(Commit(sensors=[odd, SensorInfo("b", site="Roof")])).result(10)
    text = one.call.get("/sensors.csv").text
    assert imported(other.call, text).json()["created"] == 2
    assert other.call.get("/sensors.csv").text == text
    assert (
        other.call.get("/sensors").json()["sensors"] == one.call.get("/sensors").json()["sensors"]
    )
    assert [row["sensor_id"] for row in exported(one.call, "?site=Roof")] == ["b"]
    assert exported(one.call)[0]["sensor_id"] == "'=1+1"


def test_bad_lines_are_told_and_good_ones_kept(watched):
    text = (
        "sensor_id,latitude,exposure,channel.temperature.unit,channel.temperature.minimum\n"
        "a,52.5,,,\n"
        "b,north,roof,,\n"
        ",1,,,\n"
        "a,1,,,\n"
        "c,91,,,,x\n"
        "greenhouse-1,,,°F,\n"
        "d,,,,inf\n"
    )
    answer = imported(watched.call, text).json()
    told = {row["line"]: [error["field"] for error in row["errors"]] for row in answer["rows"]}
    assert told == {
        2: [],
        3: ["latitude", "exposure"],
        4: ["sensor_id"],
        5: ["sensor_id"],
        6: ["row", "latitude"],
        7: ["channels.temperature.unit"],
        8: ["channels.temperature.minimum"],
    }
    assert answer["rows"][3]["errors"][0]["reason"] == "is in line 2 already"
    assert (answer["created"], answer["rejected"]) == (1, 6)
    assert watched.call.get("/sensors").json()["total"] == 2


@pytest.mark.parametrize(
    ("text", "status", "says"),
    [
        ("", 400, "names no sensor_id"),
        ("name,site\na,b\n", 400, "names no sensor_id"),
        ("sensor_id,nmae\n", 400, "did you mean 'name'?"),
        ("sensor_id,channel.t.limit\n", 400, "'channel.t.limit' is unknown"),
        ("sensor_id,name,name\n", 400, "'name' twice"),
        ("sensor_id,latitude\na,x\n", 422, "line 2: latitude: 'x' is not a number"),
    ],
)
def test_a_table_of_which_nothing_can_be_used_is_refused(call, text, status, says):
    answer = imported(call, text)
    assert answer.status_code == status
    assert says in answer.json()["detail"]


def test_other_types_and_other_bytes_are_refused(call):
    assert call.post("/sensors/import", json=[]).status_code == 415
    answer = call.post("/sensors/import", content=b"sensor_id\n\xff\n", headers=CSV)
    assert answer.status_code == 400


# --- sites and states ----------------------------------------------------------------------------


def test_sites_are_those_of_the_whole_fleet(watched):
    imported(watched.call, "sensor_id,site\na,Farm\nb,Farm\nc,Roof\n")
    assert watched.call.get("/sensors?site=Roof&limit=1").json()["sites"] == ["Farm", "Roof"]


def test_states_are_columns_in_the_order_of_the_fleet(watched):
    imported(watched.call, "sensor_id,site,name\nz,Farm,Annex\nb,,\n")
    states = watched.call.get("/sensors/states").json()
    fleet = watched.call.get("/sensors").json()["sensors"]
    assert states.pop("total") == 3
    assert states["sensor_id"] == [each["sensor_id"] for each in fleet]
    assert states["name"] == [each["name"] for each in fleet]
    assert states["status"] == [3, 0, 0]
    assert states["open_incidents"] == [1, 0, 0]
    narrowed = watched.call.get("/sensors/states?site=Farm&limit=1").json()
    assert (narrowed["total"], narrowed["sensor_id"]) == (1, ["z"])
