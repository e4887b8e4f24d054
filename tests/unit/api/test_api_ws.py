"""The WebSocket over a real server: live news out, readings in, and an orderly end."""

import asyncio
import json
from contextlib import asynccontextmanager

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from redshank.core.clock import MINUTE, SECOND
from redshank.core.errors import ConfigError, OverloadedError
from redshank.core.ports import Commit
from redshank.core.records import SensorInfo
from redshank.services.api import create_app
from redshank.services.api.server import bind, serve
from redshank.services.context import Progress

from .conftest import NOW, make_context

KEY = "correct-horse-battery"
PATIENCE = 20


class Running:
    """A server on a free port."""

    def __init__(self, context, clock, port, stop):
        self.context, self.clock, self.stop = context, clock, stop
        self.url, self.http = f"ws://127.0.0.1:{port}/ws", f"http://127.0.0.1:{port}"

    async def send(self, *rows):
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{self.http}/readings", json=rows)
            return answer.json()


@asynccontextmanager
async def running(**settings):
    context, clock, _ = make_context(**settings)
    context.runner.start()
    listener, stop, ready = bind("127.0.0.1", 0), asyncio.Event(), asyncio.Event()
    port = listener.getsockname()[1]
    serving = asyncio.create_task(serve(create_app(context), listener, stop, on_ready=ready.set))
    try:
        await asyncio.wait_for(ready.wait(), PATIENCE)
        yield Running(context, clock, port, stop)
    finally:
        stop.set()
        await asyncio.wait_for(serving, PATIENCE)
        await asyncio.to_thread(context.runner.stop)
        context.store.close()


def reading(minute, temperature, sensor="a"):
    return {
        "sensor_id": sensor,
        "timestamp": (NOW + minute * MINUTE) // SECOND,
        "temperature": temperature,
    }


def watched_days():
    return [reading(5 * i - 3000, round(20 + (i * 7919 % 97) / 97, 2)) for i in range(560)]


async def until(socket, kind, **fields):
    """The next message of a kind."""
    while True:
        message = json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))
        assert message["type"] == kind or message["type"] != "error", message
        if message["type"] == kind and all(message[key] == fields[key] for key in fields):
            return message


async def say(socket, **message):
    await socket.send(json.dumps(message))


async def until_heard(socket):
    """Until the server has worked through what was said: it answers nonsense at once."""
    await say(socket, type="nonsense")
    while json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))["type"] != "error":
        pass


def test_readings_sent_over_the_socket_get_a_receipt():
    async def story():
        async with running() as server, connect(server.url) as socket:
            await say(socket, type="readings", readings=[reading(0, 21.5)], id="r1")
            receipt = await until(socket, "receipt")
            assert (receipt["id"], receipt["accepted"]) == ("r1", 1)

    asyncio.run(story())


def test_rows_of_a_subscribed_sensor_come_live():
    async def story():
        async with running() as server, connect(server.url) as socket:
            hello = await until(socket, "hello")
            assert hello["time"] == "2026-02-01T00:00:00.000Z"
            await say(socket, type="subscribe", sensor_id=["a"], readings=True)
            await until_heard(socket)
            await server.send(
                reading(0, 21.5), reading(5, 22.5), reading(5, 1.0, "other"), reading(10, 23.5)
            )
            rows = []
            while len(rows) < 3:
                message = await until(socket, "verdicts")
                assert message["sensor_id"] == "a"
                rows += message["rows"]
            assert rows[0]["time"] == NOW // 1000
            assert rows[0]["values"] == {"temperature": 21.5}
            assert (rows[0]["rate"], rows[0]["status"]) == (None, 0)
            assert set(rows[0]) >= {"expected", "lower", "upper", "contributions", "flags", "score"}

    asyncio.run(story())


def test_the_fleet_and_incidents_come_without_a_subscription():
    async def story():
        async with running() as server, connect(server.url) as socket:
            await server.send(*watched_days())
            (sensor,) = (await until(socket, "sensors"))["sensors"]
            assert sensor["sensor_id"] == "a"
            assert set(sensor) >= {"status", "rate", "last_seen", "values", "open_incidents"}
            await server.send(*(reading(-200 + 5 * i, 90.0) for i in range(6)))
            told = await until(socket, "incident")
            assert told["change"] in ("opened", "updated")
            assert told["incident"]["sensor_id"] == "a"
            path = f"{server.http}/incidents/{told['incident']['id']}/feedback"
            async with httpx.AsyncClient() as client:
                await client.put(path, json={"feedback": "expected"})
            marked = await until(socket, "incident")
            while marked["incident"]["feedback"] is None:
                marked = await until(socket, "incident")
            assert marked["incident"]["feedback"] == "expected"

    asyncio.run(story())


def test_a_changed_budget_and_progress_are_told():
    async def story():
        async with running() as server, connect(server.url) as socket:
            await until(socket, "hello")
            server.context.progress.post(Progress("replay", 0.42, "halfway"))
            progress = await until(socket, "progress")
            assert progress == {
                "type": "progress",
                "source": "replay",
                "progress": 0.42,
                "text": "halfway",
            }
            async with httpx.AsyncClient() as client:
                await client.put(f"{server.http}/budget", json={"per_sensor_month": 7})
            assert (await until(socket, "budget"))["per_sensor_month"] == 7

    asyncio.run(story())


def test_a_site_narrows_and_a_new_subscription_replaces_the_old_one():
    async def story():
        async with running() as server, connect(server.url) as socket:
            farm = SensorInfo("a", site="Farm")
            await asyncio.wrap_future(server.context.runner.write(Commit(sensors=[farm])))
            await say(socket, type="subscribe", site="Farm", readings=True)
            await say(socket, type="readings", readings=[reading(0, 1.0, "b"), reading(0, 1.0)])
            await until(socket, "receipt")
            await say(socket, type="readings", readings=[reading(5, 2.0, "b"), reading(5, 2.0)])
            assert (await until(socket, "verdicts"))["sensor_id"] == "a"
            await say(socket, type="subscribe", sensor_id=["b"], readings=True)
            await say(socket, type="readings", readings=[reading(10, 3.0, "b")])
            while (await until(socket, "verdicts"))["sensor_id"] != "b":
                pass

    asyncio.run(story())


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("{oops", "not JSON"),
        ("[]", "is no message"),
        ('{"type": "shout"}', "'shout' is no message"),
        ('{"type": "subscribe", "severity": "awful"}', "severity: 'awful'"),
        ('{"type": "subscribe", "sensor_id": "a"}', "sensor_id: 'a'"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_cannot_be_used_is_said_and_the_connection_stays(message, text):
    async def story():
        async with running() as server, connect(server.url) as socket:
            await socket.send(message)
            assert text in (await until(socket, "error"))["detail"]
            await say(socket, type="readings", readings=[reading(0, 1.0), "x"], id=7)
            receipt = await until(socket, "receipt")
            assert (receipt["accepted"], receipt["rejected"], receipt["id"]) == (1, 1, 7)
            assert receipt["errors"][0]["index"] == 1

    asyncio.run(story())


def test_with_a_key_the_first_message_must_be_it():
    async def story():
        async with running(api_key=KEY) as server:
            async with connect(server.url) as socket:
                await say(socket, type="auth", key=KEY)
                assert (await until(socket, "hello"))["version"]
            for first in ({"type": "auth", "key": "wrong"}, {"type": "subscribe"}, ["x"]):
                async with connect(server.url) as socket:
                    await socket.send(json.dumps(first))
                    with pytest.raises(ConnectionClosed) as closed:
                        await asyncio.wait_for(socket.recv(), PATIENCE)
                    assert closed.value.rcvd.code == 4401

    asyncio.run(story())


def test_other_sites_pages_cannot_listen():
    async def story():
        async with running() as server:
            with pytest.raises(InvalidStatus):
                await connect(server.url, origin="https://evil.example")
            with pytest.raises(InvalidStatus):
                await connect(server.url, additional_headers={"Host": "evil.example"})

    asyncio.run(story())


def test_clients_are_counted_and_leave_nothing_behind():
    async def story():
        async with running() as server:
            async with connect(server.url) as socket:
                await until(socket, "hello")
                async with httpx.AsyncClient() as client:
                    text = (await client.get(f"{server.http}/metrics")).text
                assert "redshank_websocket_connections 1.0" in text
            await server.send(reading(0, 1.0))

    asyncio.run(story())


def test_the_end_finishes_running_requests_and_closes_sockets():
    async def story():
        async with running() as server, connect(server.url) as socket:
            await until(socket, "hello")
            sending = asyncio.create_task(server.send(*watched_days()))
            while not server.context.telemetry.registry.get_sample_value("redshank_http_in_flight"):
                await asyncio.sleep(0)
            server.stop.set()
            assert (await asyncio.wait_for(sending, PATIENCE))["accepted"] == 560
            with pytest.raises(ConnectionClosed):
                while True:
                    await asyncio.wait_for(socket.recv(), PATIENCE)

    asyncio.run(story())


def test_a_taken_port_is_said_so():
    listener = bind("127.0.0.1", 0)
    try:
        with pytest.raises(ConfigError, match=r"cannot listen on 127\.0\.0\.1 port .*--port"):
            bind("127.0.0.1", listener.getsockname()[1])
    finally:
        listener.close()


def test_readings_wait_while_there_is_no_room(monkeypatch):
    refused = []

    async def story():
        async with running() as service, connect(service.url) as socket:
            publish = service.context.bus.publish

            def full_at_first(parcel, source):
                if source and len(refused) < 3:
                    refused.append(source)
                    raise OverloadedError(0.001)
                return publish(parcel, source)

            monkeypatch.setattr(service.context.bus, "publish", full_at_first)
            await say(socket, type="readings", id="a", readings=[reading(0, 20.0)])
            assert (await until(socket, "receipt", id="a"))["accepted"] == 1

    asyncio.run(story())
    assert refused == ["websocket"] * 3
