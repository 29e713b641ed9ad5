"""Single-event posts over HTTP, against a bare FastAPI + pydantic echo of the same body, in turn."""

from __future__ import annotations

from statistics import median

from benchmarks import load, setting


def measure(
    requests: int = 6_000, rounds: int = 3, connections: tuple[int, ...] = (1, 16, 64)
) -> list[tuple[str, str]]:
    """Return the rows of the table."""
    rows = []
    with setting.database() as place, setting.served(place, "--no-projector") as port, setting.echoing() as echo:
        _, key = setting.new_ledger(place)
        bodies = iter(setting.lines(setting.journeys(2 * requests * rounds * len(connections))))
        for count in connections:
            amount = requests if count > 1 else requests // 4
            ours, theirs, latencies = [], [], []
            for _ in range(rounds):
                wanted = [next(bodies) for _ in range(amount)]
                theirs.append(load.run(echo, count, [load.post("/v1/events", body) for body in wanted]).rate)
                result = load.run(port, count, [load.post("/v1/events", body, key) for body in wanted])
                if result.failed:
                    raise RuntimeError(f"{result.failed} posts failed")
                ours.append(result.rate)
                latencies.append((result.p50, result.p99))
            ratio = median(a / b for a, b in zip(ours, theirs, strict=True))
            p50, p99 = (median(one[index] for one in latencies) for index in (0, 1))
            rates = f"{median(ours):,.0f}/s against {median(theirs):,.0f}/s"
            text = f"{ratio:.0%} of the echo ({rates}; p50 {p50:.1f} ms, p99 {p99:.1f} ms)"
            rows.append((f"single posts, {count} connections", text))
    return rows


if __name__ == "__main__":
    for name, text in measure():
        print(f"{name}: {text}")
