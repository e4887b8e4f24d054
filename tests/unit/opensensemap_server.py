"""A small openSenseMap, as its API is described, with its quirks: a real HTTP server."""

from __future__ import annotations

import gzip
import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PAGE = 10_000


def iso(micros: int) -> str:
    moment = datetime.fromtimestamp(micros // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{micros // 1000 % 1000:03d}Z"


def micros(text: str) -> int:
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000) * 1000


class Server:
    """Boxes and measurements in memory.

    ``failures`` are answered first, one a request: (status, headers, body).
    """

    def __init__(self):
        self.boxes: dict[str, dict] = {}
        self.rows: dict[str, list[dict]] = {}
        self.failures: list[tuple[int, dict, bytes]] = []
        self.requests: list[tuple[str, dict, dict]] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def add_box(self, box_id, sensors, **more):
        """``sensors``: (sensor id, title, unit)."""
        self.boxes[box_id] = {
            "_id": box_id,
            "createdAt": "2022-03-30T11:25:43.000Z",
            "exposure": "outdoor",
            "model": "custom",
            "name": f"Box {box_id}",
            "currentLocation": {"type": "Point", "coordinates": [7.64, 51.96, 66.6]},
            "sensors": [{"_id": i, "title": title, "unit": unit} for i, title, unit in sensors],
            **more,
        }
        for sensor_id, _, _ in sensors:
            self.rows[sensor_id] = []

    def upload(self, sensor_id, time, value):
        """A device sends a value; kept as text, as the real server does."""
        row = {"createdAt": iso(time), "value": value if isinstance(value, str) else f"{value:.2f}"}
        self.rows[sensor_id].append(row)
        for box in self.boxes.values():
            for sensor in box["sensors"]:
                if sensor["_id"] == sensor_id:
                    sensor["lastMeasurement"] = dict(row)
                    box["lastMeasurementAt"] = row["createdAt"]

    def asked(self, part: str) -> list[dict]:
        """Queries of all requests whose path contains this."""
        return [query for path, query, _ in self.requests if part in path]

    def _answer(self, path, query):
        parts = path.strip("/").split("/")
        if len(parts) == 2 and parts[0] == "boxes":
            box = self.boxes.get(parts[1])
            return (200, box) if box else (404, {"code": "NotFound", "message": "Box not found"})
        if len(parts) == 4 and parts[2] == "data":
            # An unknown sensor is no error, it looks like "no data".
            start, end = micros(query["from-date"]), micros(query["to-date"])
            inside = [
                row
                for row in self.rows.get(parts[3], [])
                if start <= micros(row["createdAt"]) <= end
            ]
            inside.sort(key=lambda row: row["createdAt"], reverse=True)
            return 200, inside[:PAGE]
        return 404, {"code": "ResourceNotFound", "message": f"{path} does not exist"}

    def _handler(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                url = urlsplit(self.path)
                query = {key: values[-1] for key, values in parse_qs(url.query).items()}
                server.requests.append((url.path, query, dict(self.headers)))
                if server.failures:
                    status, headers, body = server.failures.pop(0)
                else:
                    status, found = server._answer(url.path, query)
                    headers, body = {}, json.dumps(found).encode()
                self.send_response(status)
                if "gzip" in self.headers.get("Accept-Encoding", "") and not headers:
                    headers, body = {"Content-Encoding": "gzip"}, gzip.compress(body)
                for name, value in {"Content-Length": len(body), **headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        return Handler
