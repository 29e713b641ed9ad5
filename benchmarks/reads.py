"""`GET /v1/roi?group_by=campaign` while events come in, now and as of, with 10⁴, 10⁵ and 10⁶ events in the ledger."""

from __future__ import annotations

import json
import sys
import threading
import time

import httpx

from benchmarks import load, setting


def measure(sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000), reads: int = 200) -> list[tuple[str, str]]:
    """Return the rows of the table: the same ledger, read as it grows."""
    rows: list[tuple[str, str]] = []
    first = 0.0
    with setting.database() as place, setting.served(place) as port:
        _, key = setting.new_ledger(place)
        http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"}, timeout=3600
        )
        bodies = setting.lines(setting.journeys(sizes[-1] + 20_000 * len(sizes)))
        sent = 0
        for size in sizes:
            while sent < size:
                stretch = bodies[sent : min(sent + 20_000, size)]
                http.post("/v1/events", content=b"\n".join(stretch), headers={"Content-Type": "application/x-ndjson"})
                sent += len(stretch)
            _caught_up(http, sent)
            stop = threading.Event()
            trickle = threading.Thread(target=_trickle, args=(port, key, bodies[sent : sent + 10_000], stop))
            trickle.start()
            # Another period each time, so that no finished answer can be handed out again.
            periods = [
                f"from={2024 + n % 2}-{n % 12 + 1:02}-{n % 28 + 1:02}&to=2026-{n % 11 + 1:02}-05" for n in range(reads)
            ]
            asked = [load.get(f"/v1/roi?group_by=campaign&{period}&min_position={size}", key) for period in periods]
            busy = load.run(port, 1, asked)
            # Another position each time, anywhere in the log.
            places = [(size * (2 * n + 1)) // (2 * reads) for n in range(reads)]
            then = load.run(port, 1, [load.get(f"/v1/roi?as_of={place}", key) for place in places])
            stop.set()
            trickle.join()
            sent = int(http.get("/v1/ledger").json()["last_position"])
            first = first or busy.p50
            growth = f"{busy.p50 / first:.2f}× the first"
            text = f"p50 {busy.p50:.1f} ms, p99 {busy.p99:.1f} ms, {growth}"
            rows.append((f"ROI by campaign under ingest, {size:,} events", text))
            text = f"p50 {then.p50:.1f} ms, p99 {then.p99:.1f} ms, {then.p50 / busy.p50:.2f}× now"
            rows.append((f"the same as of earlier positions, {size:,} events", text))
            print(f"  {rows[-2:]}")
    return rows


def _caught_up(http: httpx.Client, position: int) -> None:
    while json.loads(http.get("/v1/ledger").content)["projected_position"] < position:
        time.sleep(0.1)


def _trickle(port: int, key: str, bodies: list[bytes], stop: threading.Event) -> None:
    """Post single events at a steady pace, so that no two reads find the same position."""
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"}, timeout=60
    ) as http:
        for body in bodies:
            if stop.is_set():
                return
            http.post("/v1/events", content=body, headers={"Content-Type": "application/json"})
            time.sleep(0.002)


if __name__ == "__main__":
    sizes = tuple(int(one) for one in sys.argv[1:]) or (10_000, 100_000, 1_000_000)
    for name, text in measure(sizes):
        print(f"{name}: {text}")
