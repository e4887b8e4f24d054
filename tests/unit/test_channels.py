"""Titles and units of real boxes, and what they must become."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redshank.core.channels import (
    QUANTITIES,
    canonical,
    channel_name,
    label,
    map_channels,
    quantity,
)


@pytest.mark.parametrize(
    ("title", "unit", "name"),
    [
        ("Temperatur", "°C", "temperature"),
        ("Lufttemperatur", "°c", "temperature"),
        ("Lämpötila", "C", "temperature"),
        ("Temperatur (BMP280)", "°C", "temperature"),
        ("rel. Luftfeuchte", "%", "humidity"),
        ("Luftfeuchte", "%rF", "humidity"),
        ("Humidité", "%", "humidity"),
        ("atm. Luftdruck", "hPa", "pressure"),
        ("PM2,5", "μg/m³", "pm25"),
        ("PM_2.5", "µg/m³", "pm25"),
        ("Dust (PM10)", "ug/m³", "pm10"),
        ("PM01", "µg/m^3", "pm1"),
        ("PM4", "µg/m³", "pm4"),
        ("Beleuchtungsstärke", "Lux", "illuminance"),
        ("UV-Intensität", "μW/cm²", "uv_intensity"),
        ("UV-Intensität", "µW/cm²", "uv_intensity"),
        ("UV", "UV-Index", "uv_index"),
        ("Lautstärke", "dB (A)", "sound_level"),
        ("CO₂", "ppm", "co2"),
        ("VOC", "kΩ", "voc"),
        ("Boden-Temperatur", "°C", "soil_temperature"),
        ("Bodenfeuchtigkeit", "%", "soil_moisture"),
        ("Windrichtung", "°", "wind_direction"),
        ("Niederschlag", "L/m²", "precipitation"),
        ("Taupunkt", "°C", "dew_point"),
        ("Batterie", "Volt", "battery"),
        ("Wifi-Stärke", "dBm", "rssi"),
        ("Speed", "km/h", "speed"),
    ],
)
def test_what_owners_write_has_one_name(title, unit, name):
    assert canonical(title, unit).name == name


@pytest.mark.parametrize(
    ("title", "unit"),
    [
        ("Temperatur (intern)", "°C"),
        ("Wassertemperatur Teich", "°C"),
        ("Taupunktdifferenz (Spread)", "°C"),
        ("abs. Luftfeuchte", "g/m³"),
        ("Feuchtigkeit (Hochbeet)", "% nFK"),
        ("minimaler Luftdruck (im Sendeintervall)", "hPa"),
        ("Luftdruck relativ", "hPa"),
        ("Helligkeit", "Pegel"),
        ("Schall", "Pegel"),
        ("Light", "raw"),
        ("eCO2", "ppm"),
        ("PM10", "%"),
        ("IAQ (indoor air quality)", "IAQ"),
        ("Temperatur", ""),
    ],
)
def test_what_only_looks_alike_stays_apart(title, unit):
    assert canonical(title, unit) is None


@pytest.mark.parametrize(
    ("title", "unit", "value", "expected"),
    [
        ("Luftdruck", "Pa", 101_325.0, 1013.25),
        ("Pressure", "kPa", 101.325, 1013.25),
        ("Temperature", "°F", 212.0, 100.0),
        ("Windgeschwindigkeit", "km/h", 36.0, 10.0),
        ("UV", "mW/m²", 10.0, 1.0),
        ("Battery", "mV", 3700.0, 3.7),
    ],
)
def test_units_are_converted(title, unit, value, expected):
    mapping = canonical(title, unit)
    assert mapping.convert(value) == pytest.approx(expected)
    assert mapping.unit == QUANTITIES[mapping.name].unit


@given(st.integers(0, 20_000_000))
def test_hundredths_stay_hundredths(hundredths):
    pascal = canonical("Luftdruck", "Pa")
    assert pascal.convert(hundredths / 100) == hundredths / 10_000


@given(st.floats())
def test_one_value_is_converted_as_many_are(value):
    fahrenheit = canonical("Temperature", "°F")
    one, many = fahrenheit.convert(value), fahrenheit.convert(np.array([value]))
    np.testing.assert_array_equal([one], many)


def test_without_any_unit_the_canonical_one_is_taken():
    assert canonical("rel. Luftfeuchte", None).unit == "%"


def test_a_second_sensor_of_the_same_kind_is_numbered():
    channels = map_channels([("Temperatur", "°C"), ("Temperature", "°F"), ("PM10", "µg/m³")])
    assert [channel.name for channel in channels] == ["temperature", "temperature_2", "pm10"]
    assert quantity("temperature_2") == quantity("temperature")


def test_unknown_sensors_keep_their_own_name_and_unit():
    luft, again, dust = map_channels(
        [("Luft-Qualität", "ppm"), ("Luft Qualität", ""), ("PM10", "%")]
    )
    assert (luft.name, luft.unit, luft.mapped) == ("luft_qualitaet", "ppm", False)
    assert again.name == "luft_qualitaet_2"
    assert quantity(dust.name) is None, "a canonical name would promise µg/m³"


def test_names_are_snake_case_and_aliases_resolved():
    assert channel_name("Sound Volume") == "sound_level"
    assert channel_name("relative_humidity") == "humidity"
    assert channel_name("Ölstand / Höhe") == "oelstand_hoehe"
    assert channel_name("***") == "channel"
    assert len(channel_name("x" * 500)) == 64


def test_labels_read_well_in_a_sentence():
    assert [label("pm25"), label("sound_level_2"), label("bearing_load")] == [
        "PM2.5",
        "sound level 2",
        "bearing load",
    ]


def test_impossible_is_only_what_nature_forbids():
    assert quantity("temperature").minimum == -273.15
    assert quantity("humidity").maximum == 105.0
    assert all(one.minimum < one.maximum for one in QUANTITIES.values())
