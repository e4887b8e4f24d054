"""A small openSenseMap, as its API is described, with its quirks: a real HTTP server."""

from __future__ import annotations

import gzip
import json
import math
import re
import threading
from bisect import bisect_left, bisect_right
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

PAGE = 10_000
DAY = 86_400_000_000


def iso(micros: int) -> str:
    moment = datetime.fromtimestamp(micros // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{micros // 1000 % 1000:03d}Z"


def micros(text: str) -> int:
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000) * 1000


class Server:
    """Boxes and measurements in memory.

    ``failures`` are answered first, one a request: (status, headers, body). ``archived`` is the
    time before which the daily archive below ``/archive`` has files, None for no archive at all.
    ``rewritten`` makes it answer as the coming server does. ``newest_told`` off: it does not tell
    newest values.
    """

    def __init__(self):
        self.boxes: dict[str, dict] = {}
        self.rows: dict[str, list[tuple[int, dict]]] = {}
        self.failures: list[tuple[int, dict, bytes]] = []
        self.requests: list[tuple[str, dict, dict]] = []
        self.archived: int | None = None
        self.rewritten = False
        self._sorted: set[str] = set()
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

    def upload(self, sensor_id, time, value, location=None):
        """A device sends a value; kept as text, as the real server does."""
        row = {"createdAt": iso(time), "value": value if isinstance(value, str) else f"{value:.2f}"}
        if location is not None:
            row["location"] = list(location)
        self._keep(sensor_id, time, row)
        for box in self.boxes.values():
            for sensor in box["sensors"]:
                if sensor["_id"] == sensor_id:
                    self._seen(box, sensor, row)

    def fill(self, sensor_id, times, values):
        """Many values at once, oldest first; two decimals."""
        rows = [
            (time, {"createdAt": iso(time), "value": f"{value:.2f}"})
            for time, value in zip(times, values, strict=True)
        ]
        self.rows[sensor_id] += rows
        self._sorted.discard(sensor_id)
        for box in self.boxes.values():
            for sensor in box["sensors"]:
                if sensor["_id"] == sensor_id:
                    self._seen(box, sensor, rows[-1][1])

    def asked(self, part: str) -> list[dict]:
        """Queries of all requests whose path contains this."""
        return [query for path, query, _ in self.requests if part in path]

    def _keep(self, sensor_id, time, row):
        self.rows[sensor_id].append((time, row))
        self._sorted.discard(sensor_id)

    def _seen(self, box, sensor, row):
        sensor["lastMeasurement"] = {"createdAt": row["createdAt"], "value": row["value"]}
        box["lastMeasurementAt"] = max(box.get("lastMeasurementAt", ""), row["createdAt"])

    def _between(self, sensor_id, start, end):
        """Rows of a sensor, ends included, oldest first."""
        rows = self.rows.get(sensor_id, [])
        if sensor_id not in self._sorted:
            rows.sort(key=lambda one: one[0])
            self._sorted.add(sensor_id)
        first = bisect_left(rows, start, key=lambda one: one[0])
        last = bisect_right(rows, end, key=lambda one: one[0])
        return [row for _, row in rows[first:last]]

    # --- what is asked ---

    def _answer(self, path, query):
        """Status and body; bytes are sent as they are."""
        parts = unquote(path).strip("/").split("/")
        if self.rewritten:
            parts = parts[1:] if parts[0] == "api" else ["nothing"]
        if parts[0] == "archive":
            return self._archive(parts[1:])
        if parts == ["boxes"]:
            return self._list(query)
        if len(parts) == 2 and parts[0] == "boxes":
            box = self.boxes.get(parts[1])
            return (200, box) if box else (404, {"code": "NotFound", "message": "Box not found"})
        if len(parts) == 3 and parts[2] == "data":
            return 405, {"code": "MethodNotAllowed", "message": "GET is not allowed"}
        if len(parts) == 4 and parts[2] == "data":
            return self._data(parts[3], query)
        return 404, {"code": "ResourceNotFound", "message": f"{path} does not exist"}

    def _data(self, sensor_id, query):
        # An unknown sensor is no error, it looks like "no data".
        start, end = micros(query["from-date"]), micros(query["to-date"])
        if start > end:
            return self._refusal(409, f"Invalid time frame specified: fromDate ({start})")
        if end - start > 31 * DAY + 1000:
            return self._refusal(409, "Please choose a time frame up to 31 days maximum")
        rows = self._between(sensor_id, start, end)[: -PAGE - 1 : -1]
        if self.rewritten:
            rows = [_rewritten(sensor_id, row) for row in rows]
        return 200, rows

    def _refusal(self, status, message):
        if self.rewritten:
            return 400, {"code": "Bad Request", "message": message, "error": message}
        return status, {"code": "InvalidArgument", "message": message}

    def _list(self, query):
        found = list(self.boxes.values())
        if "bbox" in query:
            west, south, east, north = map(float, query["bbox"].split(","))
            found = [b for b in found if west <= _at(b)[0] <= east and south <= _at(b)[1] <= north]
        if "near" in query:
            here = [float(one) for one in query["near"].split(",")]
            most = float(query.get("maxDistance", 1000))
            found = sorted(
                (b for b in found if _metres(here, _at(b)) <= most),
                key=lambda b: _metres(here, _at(b)),
            )
        if "grouptag" in query:
            wanted = set(query["grouptag"].split(","))
            found = [b for b in found if wanted <= set(b.get("grouptag", ()))]
        if "exposure" in query:
            found = [b for b in found if b["exposure"] in query["exposure"].split(",")]
        return 200, [_listed(box) for box in found]

    def _archive(self, parts):
        """A listing, or a sensor's file of a day."""
        if self.archived is None or not re.fullmatch(r"\d{4}-\d\d-\d\d", parts[0] if parts else ""):
            return 404, b"<html>Not Found</html>"
        start = micros(f"{parts[0]}T00:00:00.000Z")
        if start + DAY > self.archived:
            return 404, b"<html>Not Found</html>"
        folders = {
            f"{i}-{re.sub('[^A-Za-z0-9._-]', '_', box.get('old_name', box['name']))}": box
            for i, box in self.boxes.items()
            if any(self._between(s["_id"], start, start + DAY - 1) for s in box["sensors"])
        }
        if len(parts) == 1:
            return 200, _listing(f"{name}/" for name in folders)
        if parts[1] not in folders:
            return 404, b"<html>Not Found</html>"
        files = {
            f"{s['_id']}-{parts[0]}.csv": rows
            for s in folders[parts[1]]["sensors"]
            if (rows := self._between(s["_id"], start, start + DAY - 1))
        }
        if len(parts) == 2:
            return 200, _listing(files)
        rows = files.get(parts[2])
        return (200, _csv(rows)) if rows else (404, b"<html>Not Found</html>")

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
                    headers = {}
                    body = found if isinstance(found, bytes) else json.dumps(found).encode()
                self.send_response(status)
                if "gzip" in self.headers.get("Accept-Encoding", "") and not headers:
                    headers = {"Content-Encoding": "gzip"}
                    body = gzip.compress(body, compresslevel=1)
                for name, value in {"Content-Length": len(body), **headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        return Handler


def _listed(box):
    """As lists have it: newest values are ids only."""
    sensors = [
        {**s, "lastMeasurement": "665673f5b18342001a467f3a"} if "lastMeasurement" in s else s
        for s in box["sensors"]
    ]
    return {**box, "sensors": sensors}


def _rewritten(sensor_id, row):
    time = row["createdAt"].replace("T", " ").replace("Z", "+00")
    return {
        "sensor_id": sensor_id,
        "time": time,
        "value": float(row["value"]),
        "location_id": "17",
    }


def _listing(names):
    links = "".join(f'<a href="./{name}">{name}</a>\n' for name in names)
    return f"<html><body>{links}</body></html>".encode()


def _csv(rows):
    placed = any("location" in row for row in rows)
    head = "createdAt,value" + (",longitude,latitude" if placed else "")
    lines = [head]
    for row in rows:
        place = row.get("location", ("", ""))
        more = f",{place[0]},{place[1]}" if placed else ""
        lines.append(f"{row['createdAt']},{row['value']}{more}")
    return ("\n".join(lines) + "\n").encode()


def _at(box):
    return box["currentLocation"]["coordinates"]


def _metres(here, there):
    x = (there[0] - here[0]) * math.cos(math.radians(here[1]))
    return 111_195 * math.hypot(x, there[1] - here[1])
