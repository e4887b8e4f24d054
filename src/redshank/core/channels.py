"""What channels measure: canonical names and units, and how senders' own titles map to them.

Owners name their sensors as they like ("rel. Luftfeuchte", "Humidity", "%rF"). One name and one
unit per quantity make boxes comparable, let checks know what is possible, and let texts speak of
"humidity". What does not map keeps its own name and unit; nothing is dropped.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import TypeVar

import numpy as np

from redshank.core.batch import Floats

Values = TypeVar("Values", float, Floats)
_DECIMALS = 9
"""Of a converted value: what comes behind was not measured."""
_ROUNDED = 1e6
"""Larger ones keep all digits that they have."""
MAX_NAME = 64
"""Longest channel name; longer ones are cut."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One physical quantity.

    Attributes:
        name: canonical snake_case channel name.
        unit: canonical unit.
        minimum: no real value can be lower, in ``unit``; -inf where nothing forbids it.
        maximum: no real value can be higher.
        resolution: step that sensors of this kind usually report in.
        label: the name in a sentence.
        rests_at_zero: whether zero for hours is usual, as for light at night or rain.
    """

    name: str
    unit: str
    minimum: float
    maximum: float
    resolution: float
    label: str
    rests_at_zero: bool = False


@dataclass(frozen=True, slots=True)
class ChannelMapping:
    """How a sender's channel becomes a canonical one: ``value * scale + offset``.

    Attributes:
        name: canonical channel name, or the sender's own where ``mapped`` is False.
        unit: unit after conversion.
        scale: factor from the sender's unit.
        offset: added after scaling.
        mapped: whether title and unit are known.
    """

    name: str
    unit: str
    scale: float = 1.0
    offset: float = 0.0
    mapped: bool = True

    def convert(self, value: Values) -> Values:
        """A value, or an array of them, in the channel's unit."""
        return scaled(value, self.scale, self.offset)


def scaled(value: Values, scale: float, offset: float = 0.0) -> Values:
    """``value * scale + offset``, to nine decimals: 96432.73 Pa are 964.3273 hPa, no hair less."""
    if (scale, offset) == (1.0, 0.0):
        return value
    exact = np.asarray(value * scale + offset)
    small = np.abs(exact) < _ROUNDED
    near = np.where(small, np.round(np.where(small, exact, 0.0), _DECIMALS), exact)
    return float(near) if isinstance(value, float) else near


_ABSOLUTE_ZERO = -273.15
# Limits are what nature or the definition of the quantity forbids, not what is usual: an unusual
# value is for the detector. Humidity sensors legitimately read a little above 100 % in fog.
_QUANTITIES = (
    Quantity("temperature", "°C", _ABSOLUTE_ZERO, inf, 0.01, "temperature"),
    Quantity("humidity", "%", 0.0, 105.0, 0.01, "humidity"),
    Quantity("pressure", "hPa", 0.0, inf, 0.01, "pressure"),
    Quantity("sound_level", "dB(A)", -30.0, 200.0, 0.1, "sound level"),
    Quantity("illuminance", "lx", 0.0, inf, 1.0, "illuminance", rests_at_zero=True),
    Quantity("uv_intensity", "µW/cm²", 0.0, inf, 0.1, "UV intensity", rests_at_zero=True),
    Quantity("uv_index", "", 0.0, 60.0, 0.1, "UV index", rests_at_zero=True),
    Quantity("pm1", "µg/m³", 0.0, inf, 0.1, "PM1"),
    Quantity("pm25", "µg/m³", 0.0, inf, 0.1, "PM2.5"),
    Quantity("pm4", "µg/m³", 0.0, inf, 0.1, "PM4"),
    Quantity("pm10", "µg/m³", 0.0, inf, 0.1, "PM10"),
    Quantity("co2", "ppm", 0.0, 1e6, 1.0, "CO₂"),
    Quantity("voc", "kΩ", 0.0, inf, 0.01, "VOC resistance"),
    Quantity("soil_moisture", "%", 0.0, 105.0, 0.1, "soil moisture"),
    Quantity("soil_temperature", "°C", _ABSOLUTE_ZERO, inf, 0.1, "soil temperature"),
    Quantity("wind_speed", "m/s", 0.0, 200.0, 0.1, "wind speed", rests_at_zero=True),
    Quantity("wind_direction", "°", 0.0, 360.0, 1.0, "wind direction"),
    Quantity("precipitation", "mm", 0.0, inf, 0.1, "precipitation", rests_at_zero=True),
    Quantity("dew_point", "°C", _ABSOLUTE_ZERO, inf, 0.01, "dew point"),
    Quantity("battery", "V", 0.0, inf, 0.01, "battery voltage"),
    Quantity("rssi", "dBm", -250.0, 100.0, 1.0, "signal strength"),
    Quantity("speed", "km/h", 0.0, inf, 0.1, "speed", rests_at_zero=True),
    Quantity("vibration", "mm/s", -inf, inf, 0.001, "vibration"),
)
QUANTITIES: Mapping[str, Quantity] = {one.name: one for one in _QUANTITIES}
"""All known quantities by canonical name."""

ALIASES: Mapping[str, str] = {
    "sound_volume": "sound_level",
    "relative_humidity": "humidity",
    "pm2_5": "pm25",
    "pm_2_5": "pm25",
    "pm1_0": "pm1",
    "pm_1": "pm1",
    "pm_4": "pm4",
    "pm_10": "pm10",
}
"""Other names that senders may use for a canonical channel of the same unit."""

# unit as normalised -> (factor, offset) to the canonical unit of the quantities that use the table
_Units = Mapping[str, tuple[float, float]]


def _same(*units: str) -> dict[str, tuple[float, float]]:
    return dict.fromkeys(units, (1.0, 0.0))


_CELSIUS: _Units = {
    **_same("°c", "*c", "c", "oc", "grad", "grad celsius", "celsius", "degc", "deg c", "degree"),
    **dict.fromkeys(("°f", "f", "fahrenheit", "degf"), (1 / 1.8, -32 / 1.8)),
    **dict.fromkeys(("k", "kelvin"), (1.0, _ABSOLUTE_ZERO)),
}
_PERCENT: _Units = _same(
    "%", "%rf", "%rh", "% rf", "% rh", "rel.%", "r%", "% rlf", "%h", "percent", "prozent"
)
_PRESSURE: _Units = {
    **_same("hpa", "hap", "mbar", "mb", "millibar"),
    **dict.fromkeys(("pa", "pascal"), (0.01, 0.0)),
    "kpa": (10.0, 0.0),
    "bar": (1000.0, 0.0),
    "mmhg": (1.333223684, 0.0),
    "inhg": (33.86389, 0.0),
}
_DUST: _Units = {
    **_same("μg/m3", "ug/m3", "μg/m^3", "ug/m^3", "μg/cbm"),
    **dict.fromkeys(("mg/m3", "mg/m^3"), (1000.0, 0.0)),
}
_LIGHT: _Units = {**_same("lx", "lux", "lm/m2"), "klx": (1000.0, 0.0)}
_UV: _Units = {
    **_same("μw/cm2", "uw/cm2"),
    **dict.fromkeys(("μw/m2", "uw/m2"), (1e-4, 0.0)),
    "mw/cm2": (1000.0, 0.0),
    "mw/m2": (0.1, 0.0),
    "w/m2": (100.0, 0.0),
}
_UV_INDEX: _Units = _same("index", "uv-index", "uv index", "uvi", "ind")
_SOUND: _Units = _same("db (a)", "db(a)", "dba", "db a", "db")
_PPM: _Units = _same("ppm", "ppm(parts per million)", "ppm (parts per million)")
_OHM: _Units = {**_same("kohm", "kω", "kohms"), "ohm": (1e-3, 0.0), "ω": (1e-3, 0.0)}
_METRES: _Units = {
    **_same("m/s", "m/sec", "mps"),
    **dict.fromkeys(("km/h", "kmh", "kph"), (1 / 3.6, 0.0)),
    "mph": (0.44704, 0.0),
    **dict.fromkeys(("kn", "kt", "kts"), (1852 / 3600, 0.0)),
}
_KILOMETRES: _Units = {
    **_same("km/h", "kmh", "kph"),
    "m/s": (3.6, 0.0),
    "mph": (1.609344, 0.0),
    **dict.fromkeys(("kn", "kt", "kts"), (1.852, 0.0)),
}
_DEGREES: _Units = _same("°", "°n", "deg", "degree", "degrees", "grad", "° from north clockwise")
_RAIN: _Units = {**_same("mm", "l/m2", "l/qm", "mm/m2"), "cm": (10.0, 0.0), "inch": (25.4, 0.0)}
_VOLT: _Units = {**_same("v", "volt", "volts"), "mv": (1e-3, 0.0)}
_DBM: _Units = _same("dbm")
_VELOCITY: _Units = {**_same("mm/s"), "cm/s": (10.0, 0.0), "m/s": (1000.0, 0.0)}

_DUST_WORDS = r"(?:(?:feinstaub|fine ?dust|dust|fijnstof) ?)?\(?(?:pm|mp|p)[ _]?"
# Whole titles only: "Temperatur (intern)" or "Bodentemperatur" is another temperature.
_RULES: tuple[tuple[str, str, _Units], ...] = (
    (
        "temperature",
        r"(?:(?:luft|aussen|raum|air |ambient )?[ -]?temp(?:e|a)ratur(?:e|a)?|temp|temp[ée]rature"
        r"|lämpötila)",
        _CELSIUS,
    ),
    (
        "humidity",
        r"(?:rel\.? ?|relative )?(?:luft[ -]?)?(?:feuchte|feuchtigkeit|feutigkeit)"
        r"|(?:relative |rel\.? ?|air )?humidity|humidité(?: relative)?",
        _PERCENT,
    ),
    (
        "pressure",
        r"(?:atm\.? ?|atmosphärischer )?luftdruck(?: absolut| \(lokal\))?|druck"
        r"|(?:air |atmospheric |barometric )?press?ure|pression",
        _PRESSURE,
    ),
    ("pm10", _DUST_WORDS + r"10(?:[.,]0)?\)?", _DUST),
    ("pm25", _DUST_WORDS + r"2[.,]?5\)?", _DUST),
    ("pm1", _DUST_WORDS + r"0?1(?:[.,]0)?\)?", _DUST),
    ("pm4", _DUST_WORDS + r"4(?:[.,]0)?\)?", _DUST),
    (
        "illuminance",
        r"beleuchtungsstärke|helligkeit|lichtstärke|licht|illuminance|(?:ambient )?light|lux",
        _LIGHT,
    ),
    (
        "uv_intensity",
        r"uv(?:[ -]?(?:intensität|strahlung|einstrahlung|intensity|radiation|light))?",
        _UV,
    ),
    ("uv_index", r"uv(?:[ -]?index)?", _UV_INDEX),
    (
        "sound_level",
        r"lautstärke|schalldruckpegel|schallpegel|schall|lärm|mikrofon|microphone|noise(?: level)?"
        r"|sound(?:[ _]?(?:level|volume|pressure level))?|volume sonore|laeq",
        _SOUND,
    ),
    (
        "co2",
        r"co2(?:[ -]?(?:gehalt|konzentration|concentration|level))?|kohlen(?:stoff)?dioxid"
        r"|carbon dioxide",
        _PPM,
    ),
    ("voc", r"voc", _OHM),
    (
        "soil_moisture",
        r"boden[ -]?(?:feuchte|feuchtigkeit)|feuchtigkeit im boden|soil[ -]?(?:moisture|humidity)",
        _PERCENT,
    ),
    (
        "soil_temperature",
        r"boden[ -]?temperatur|(?:soil|ground)[ -]?temperature",
        _CELSIUS,
    ),
    ("wind_speed", r"wind(?:[ -]?(?:geschwindigkeit|speed|stärke))?|vent", _METRES),
    ("wind_direction", r"wind[ -]?(?:richtung|direction)", _DEGREES),
    (
        "precipitation",
        r"regen(?:menge)?|niederschlag(?:smenge)?|rain(?: ?fall| amount)?|precipitation|pluie",
        _RAIN,
    ),
    ("dew_point", r"taupunkt(?:temperatur)?|dew[ -]?point|point de rosée", _CELSIUS),
    (
        "battery",
        r"(?:batterie|battery|akku)(?:[ -]?(?:spannung|voltage))?|vcc|vbat",
        _VOLT,
    ),
    (
        "rssi",
        r"(?:wi-?fi[ -]?)?(?:rssi|signal(?:[ -]?strength)?|signalst(?:ä|ae)rke|stärke)"
        r"|signalstärke am gateway(?: \(rssi\))?|rssi \(empfangsstärke am gateway\)",
        _DBM,
    ),
    ("speed", r"speed|geschwindigkeit", _KILOMETRES),
    ("vibration", r"vibration(?: velocity)?|schwinggeschwindigkeit", _VELOCITY),
)

_FRACTION = (100.0, 0.0)
_PREFIXES = ((1000.0, 0.0), (0.001, 0.0))
_BY_QUANTITY: Mapping[str, _Units] = {name: units for name, _, units in _RULES}


@lru_cache(maxsize=4096)
def other_units(name: str) -> tuple[tuple[float, float], ...]:
    """Factor and offset from each other unit of a channel to its canonical one.

    Those that its quantity comes in, a fraction for a percentage, and thousands (mV for V).
    """
    known = quantity(name)
    units = _BY_QUANTITY.get(known.name, {}).values() if known else ()
    fraction = (_FRACTION,) if known and known.unit == "%" else ()
    found = dict.fromkeys((*units, *fraction, *_PREFIXES))
    found.pop((1.0, 0.0), None)
    return tuple(found)


_SURE_UNITS: Mapping[str, tuple[float, float]] = {"pressure": (30_000.0, 120_000.0)}
"""Values that can only be in another unit: air pressure in Pa."""


def in_other_unit(name: str) -> tuple[float, float] | None:
    """The range in which values of a channel can only be in another unit; None if there is none."""
    known = quantity(name)
    return _SURE_UNITS.get(known.name) if known else None


_COMMON = (-9999.0, -999.0, -99.0, 9999.0, 65535.0)
# Numbers that devices send when they could not measure: DS18B20 and its libraries (-127, and 85
# after power-on), DHT libraries (-999), dust sensors at the end of their scale (999.9, 1999.9),
# register values of all ones (65535, 6553.5).
_SENTINELS: Mapping[str, tuple[float, ...]] = {
    "temperature": (-127.0, -999.0, -9999.0, 999.0, 9999.0, 6553.5, 65535.0),
    "soil_temperature": (-127.0, -999.0, -9999.0, 999.0, 9999.0, 6553.5, 65535.0),
    "dew_point": (-127.0, -999.0, -9999.0, 999.0, 9999.0, 6553.5, 65535.0),
    "humidity": (-1.0, -99.0, -999.0, -9999.0, 255.0, 998.0, 999.0, 9999.0, 65535.0),
    "soil_moisture": (-1.0, -99.0, -999.0, -9999.0, 255.0, 999.0, 9999.0, 65535.0),
    "pressure": (-1.0, -999.0, -9999.0, 9999.0, 65535.0),
    "co2": (-1.0, -999.0, -9999.0, 65535.0),
    "pm1": (-1.0, -999.0, 999.9, 1999.9, 6553.5, 65535.0),
    "pm25": (-1.0, -999.0, 999.9, 1999.9, 6553.5, 65535.0),
    "pm4": (-1.0, -999.0, 999.9, 1999.9, 6553.5, 65535.0),
    "pm10": (-1.0, -999.0, 999.9, 1999.9, 6553.5, 65535.0),
    "illuminance": (-1.0, -2.0, -999.0, -9999.0),
    "sound_level": (-999.0, -9999.0, 999.0, 9999.0),
    "wind_direction": (-1.0, -999.0, 999.0, 9999.0, 65535.0),
    "wind_speed": (-1.0, -999.0, 999.0, 9999.0, 6553.5, 65535.0),
}
_AFTER_JUMP: Mapping[str, tuple[float, ...]] = {
    "temperature": (85.0,),
    "soil_temperature": (85.0,),
    "illuminance": (65535.0,),
}


def sentinels(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Numbers that stand for "no value": those that always do, and those that do after a jump."""
    known = quantity(name)
    if known is None:
        return (), _COMMON
    return _SENTINELS.get(known.name, ()), _AFTER_JUMP.get(known.name, ())


_TOPS: Mapping[str, float] = {
    "humidity": 100.0,
    "soil_moisture": 100.0,
    **dict.fromkeys(("pm1", "pm25", "pm4"), 999.9),
    "pm10": 1999.9,
}


def top(name: str) -> float | None:
    """The highest value that devices for a channel usually can send; None if it varies."""
    known = quantity(name)
    return _TOPS.get(known.name) if known else None


_COUPLED = (
    frozenset({"temperature", "humidity", "dew_point", "pressure", "precipitation"}),
    frozenset({"pm1", "pm25", "pm4", "pm10"}),
    frozenset({"illuminance", "uv_intensity", "uv_index", "temperature"}),
    frozenset({"co2", "voc", "humidity", "temperature"}),
    frozenset({"soil_moisture", "soil_temperature", "precipitation"}),
    frozenset({"wind_speed", "wind_direction", "pressure", "precipitation"}),
    frozenset({"vibration", "sound_level", "temperature", "speed"}),
)


def coupled(one: str, other: str) -> bool:
    """Whether one cause in the world usually moves both channels."""
    a, b = quantity(one), quantity(other)
    if a is None or b is None or a is b:
        return False
    return any(a.name in group and b.name in group for group in _COUPLED)


_COMPILED = tuple((name, re.compile(pattern), units) for name, pattern, units in _RULES)

_CHIP = (
    r"(?:bm[ep]\d{3}|dht\d{2}|hdc\d*|sht\w+|scd\d{2}|ds18b20|dps310|sds ?0?11|sps30|pms\d*|dnms)"
)
_BRACKETS = re.compile(r"\[[^\]]*\]")
_CHIPS = re.compile(rf"[ _-]*\({_CHIP}\)|[ _-]+{_CHIP}$|^{_CHIP}[ _-]+")
_NUMBERED = re.compile(r"^(?P<name>[^\d].*[^\d ]) \d$")
_SUFFIX = re.compile(r"_\d+$")
_NOT_WORD = re.compile(r"[^\w]+|_+")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "μ": "u", "°": " "})


def normalise(text: str) -> str:
    """Title or unit in one form: NFKC, case folded, blanks collapsed.

    NFKC makes U+00B5 and U+03BC one µ, and turns ³ and ₂ into digits.
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def quantity(name: str) -> Quantity | None:
    """The quantity of a canonical channel name, also of numbered ones like ``temperature_2``."""
    return QUANTITIES.get(name) or QUANTITIES.get(_SUFFIX.sub("", name))


def label(name: str) -> str:
    """A channel's name for a sentence: ``sound level``, ``temperature 2``, ``bearing load``."""
    known = quantity(name)
    if known is None:
        return name.replace("_", " ")
    return known.label + name.removeprefix(known.name).replace("_", " ")


@lru_cache(maxsize=4096)
def canonical(title: str, unit: str | None) -> ChannelMapping | None:
    """The canonical channel that a title and unit stand for, None if they are not known.

    Both must fit: "Luftdruck" in Pa is divided by 100, "Schall" without a dB unit is raw counts
    and stays unmapped. With ``unit`` None nothing is known of the unit and the canonical one is
    taken.
    """
    name, written = _plain_title(title), None if unit is None else normalise(unit)
    for channel, pattern, units in _COMPILED:
        if pattern.fullmatch(name) and (written is None or written in units):
            scale, offset = (1.0, 0.0) if written is None else units[written]
            return ChannelMapping(channel, QUANTITIES[channel].unit, scale, offset)
    return None


@lru_cache(maxsize=16384)
def channel_name(name: str) -> str:
    """A name as channels are called: snake_case, aliases resolved, at most 64 characters."""
    text = unicodedata.normalize("NFKC", name).casefold().translate(_UMLAUTS)
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    cleaned = _NOT_WORD.sub("_", bare).strip("_")[:MAX_NAME].strip("_") or "channel"
    return ALIASES.get(cleaned, cleaned)


def map_channels(titles: Iterable[tuple[str, str | None]]) -> list[ChannelMapping]:
    """Channels for all titles and units of one sensor, in order, no name twice.

    The second "Temperatur" becomes ``temperature_2``, so the order must be a stable one (by
    creation). Unknown pairs keep their own name and unit and have ``mapped`` False.
    """
    taken: set[str] = set()
    found = []
    for title, unit in titles:
        mapping = canonical(title, unit) or _unmapped(title, unit or "")
        name = _free(mapping.name, taken)
        taken.add(name)
        found.append(
            ChannelMapping(name, mapping.unit, mapping.scale, mapping.offset, mapping.mapped)
        )
    return found


def _plain_title(title: str) -> str:
    """The normalised title without unit brackets, chip names and a running number."""
    words = _BRACKETS.sub("", normalise(title)).replace("_", " ").strip()
    text = " ".join(_CHIPS.sub("", words).split())
    numbered = _NUMBERED.match(text)
    return numbered["name"] if numbered else text


def _unmapped(title: str, unit: str) -> ChannelMapping:
    name = channel_name(title)
    if quantity(name) is not None:
        # A canonical name would promise a unit that the values do not have.
        name = channel_name(f"{name}_{_NOT_WORD.sub('', unit) or 'raw'}")
    return ChannelMapping(name, unit.strip(), mapped=False)


def _free(name: str, taken: set[str]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free
