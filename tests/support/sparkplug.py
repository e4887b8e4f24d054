"""Sparkplug B payloads encoded by Google's own library, from the specification's field numbers."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_LABELS = descriptor_pb2.FieldDescriptorProto
_FIELDS: dict[str, list[tuple[str, int, str, bool]]] = {
    "PropertyValue": [
        ("type", 1, "UINT32", False),
        ("is_null", 2, "BOOL", False),
        ("int_value", 3, "UINT32", False),
        ("long_value", 4, "UINT64", False),
        ("float_value", 5, "FLOAT", False),
        ("double_value", 6, "DOUBLE", False),
        ("boolean_value", 7, "BOOL", False),
        ("string_value", 8, "STRING", False),
    ],
    "PropertySet": [("keys", 1, "STRING", True), ("values", 2, "PropertyValue", True)],
    "Metric": [
        ("name", 1, "STRING", False),
        ("alias", 2, "UINT64", False),
        ("timestamp", 3, "UINT64", False),
        ("datatype", 4, "UINT32", False),
        ("is_historical", 5, "BOOL", False),
        ("is_transient", 6, "BOOL", False),
        ("is_null", 7, "BOOL", False),
        ("properties", 9, "PropertySet", False),
        ("int_value", 10, "UINT32", False),
        ("long_value", 11, "UINT64", False),
        ("float_value", 12, "FLOAT", False),
        ("double_value", 13, "DOUBLE", False),
        ("boolean_value", 14, "BOOL", False),
        ("string_value", 15, "STRING", False),
        ("bytes_value", 16, "BYTES", False),
    ],
    "Payload": [
        ("timestamp", 1, "UINT64", False),
        ("metrics", 2, "Metric", True),
        ("seq", 3, "UINT64", False),
        ("uuid", 4, "STRING", False),
        ("body", 5, "BYTES", False),
    ],
}


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="sparkplug_b.proto", package="test", syntax="proto2"
    )
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            label = _LABELS.LABEL_REPEATED if repeated else _LABELS.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if kind in _FIELDS:
                added.type, added.type_name = _LABELS.TYPE_MESSAGE, f".test.{kind}"
            else:
                added.type = getattr(_LABELS, f"TYPE_{kind}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"test.{name}"))
        for name in _FIELDS
    }


_CLASS = _classes()
INT16, INT32, INT64, FLOAT, DOUBLE, BOOLEAN, STRING = 2, 3, 4, 9, 10, 11, 12
_HOLDERS = {
    **dict.fromkeys((1, 2, 3, 5, 6, 7), ("int_value", 32)),
    **dict.fromkeys((4, 8, 13), ("long_value", 64)),
    FLOAT: ("float_value", 0),
    DOUBLE: ("double_value", 0),
    BOOLEAN: ("boolean_value", 0),
    STRING: ("string_value", 0),
}


def metric(
    name: str | None = None,
    value: Any = None,
    datatype: int | None = None,
    *,
    alias: int | None = None,
    time: int | None = None,
    unit: str | None = None,
    holder: int | None = None,
) -> Any:
    """A metric; ``time`` in milliseconds, ``holder`` the type whose field holds the value."""
    made = _CLASS["Metric"]()
    for key, given in (("name", name), ("alias", alias), ("timestamp", time)):
        if given is not None:
            setattr(made, key, given)
    if datatype is not None:
        made.datatype = datatype
    if unit is not None:
        made.properties.keys.extend(["quality", "engUnit"])
        made.properties.values.add(type=INT32, int_value=192)
        made.properties.values.add(type=STRING, string_value=unit)
    if value is None:
        made.is_null = True
    else:
        field, bits = _HOLDERS[holder or datatype or DOUBLE]
        setattr(made, field, value & ((1 << bits) - 1) if bits else value)
    return made


def payload(*metrics: Any, time: int | None = None, seq: int | None = 0) -> bytes:
    """A message of metrics; ``time`` in milliseconds."""
    made = _CLASS["Payload"]() if seq is None else _CLASS["Payload"](seq=seq)
    if time is not None:
        made.timestamp = time
    made.metrics.extend(metrics)
    return bytes(made.SerializeToString())


def parse(body: bytes) -> Any:
    """A payload as Google's library reads it."""
    return _CLASS["Payload"].FromString(body)
