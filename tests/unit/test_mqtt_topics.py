"""Topic templates: what is subscribed to, and what a topic says."""

import pytest

from redshank.adapters.sources.mqtt.topics import Router, Template, covers
from redshank.core.errors import ConfigError


def test_placeholders_are_levels_of_a_subscription():
    template = Template("{site}/sensors/{sensor_id}/{channel}")
    assert template.filter == "+/sensors/+/+"
    route = template.match("north/sensors/b1/temperature")
    assert (route.site, route.sensor_id, route.channel) == ("north", "b1", "temperature")


def test_a_placeholder_may_be_a_part_of_a_level():
    template = Template("plant/dev-{sensor_id}/{channel}")
    assert template.filter == "plant/+/+"
    assert template.match("plant/dev-7/speed").sensor_id == "7"
    assert template.match("plant/other/speed") is None


@pytest.mark.parametrize(
    ("template", "topic", "sensor", "channel"),
    [
        ("sensors/#", "sensors/kitchen/temperature", "kitchen", "temperature"),
        ("sensors/#", "sensors/a/b/temperature", "a/b", "temperature"),
        ("sensors/#", "sensors/temperature", "sensors", "temperature"),
        ("home/+/temperature", "home/kitchen/temperature", "kitchen", "temperature"),
        ("home/kitchen/temperature", "home/kitchen/temperature", "home/kitchen", "temperature"),
        ("sensors/{sensor_id}/{channel}", "sensors/b/x", "b", "x"),
        ("{site}/{sensor_id}/#", "n/b/deep/speed", "b", "speed"),
        ("sensors/{channel}", "sensors/speed", "sensors", "speed"),
    ],
)
def test_who_a_plain_number_belongs_to(template, topic, sensor, channel):
    route = Template(template).match(topic)
    assert (route.sensor_id or route.number_id) == sensor
    assert (route.channel or route.number_channel) == channel


@pytest.mark.parametrize(
    ("template", "topic", "sensor"),
    [
        ("sensors/#", "sensors/kitchen", "kitchen"),
        ("zigbee2mqtt/+", "zigbee2mqtt/door", "door"),
        ("a/+/b/+", "a/1/b/2", "1/2"),
        ("sensors/#", "sensors", "sensors"),
        ("fixed/topic", "fixed/topic", "fixed/topic"),
    ],
)
def test_who_an_object_without_a_sensor_belongs_to(template, topic, sensor):
    assert Template(template).match(topic).own_id == sensor


def test_a_kind_may_follow():
    assert Template("spBv1.0/#=sparkplug").kind == "sparkplug"
    assert Template("spBv1.0/#=sparkplug").filter == "spBv1.0/#"
    assert Template("odd=name/+", "json").filter == "odd=name/+"
    assert Template("odd=name/+", "json").kind == "json"


def test_shared_subscriptions_are_subscribed_to_as_they_stand():
    template = Template("$share/pool/sensors/{sensor_id}")
    assert template.filter == "$share/pool/sensors/+"
    assert template.match("sensors/b").sensor_id == "b"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("a/{room}/b", "{room} is not one of"),
        ("a/{sensor_id}/{sensor_id}", "twice"),
        ("a/#/b", "# stands alone"),
        ("a/b#", "# stands alone"),
        ("a/b+/c", r"\+ stands alone"),
        ("a/{sensor_id", "a brace is open"),
    ],
)
def test_what_is_no_template_is_refused_by_name(text, why):
    with pytest.raises(ConfigError, match=why):
        Template(text)


def test_the_first_template_that_fits_wins():
    router = Router(["s/{sensor_id}/raw=number", "s/#"])
    assert router.filters == ["s/#"]
    assert router.route("s/1/raw").kind == "number"
    assert router.route("s/1/other").kind == "auto"
    assert router.route("elsewhere") is None


def test_without_templates_there_is_nothing_to_read():
    with pytest.raises(ConfigError, match="mqtt_topics is empty"):
        Router([])


@pytest.mark.parametrize(
    ("wide", "narrow", "covered"),
    [
        ("#", "a/b", True),
        ("a/#", "a", True),
        ("a/#", "a/+/c", True),
        ("a/+", "a/b", True),
        ("+/+/+", "a/+/c", True),
        ("a/+", "a/#", False),
        ("a/+/c", "+/b/c", False),
        ("a/b", "a/+", False),
        ("a", "a/b", False),
        ("#", "$SYS/#", False),
        ("$share/p/a/#", "$share/p/a/b", True),
        ("a/#", "$share/p/a/b", False),
    ],
)
def test_a_filter_that_another_one_covers_is_not_subscribed_to(wide, narrow, covered):
    assert covers(wide, narrow) == covered
    assert (Router([narrow, wide]).filters == [wide]) == covered
