"""All benchmarks: prints a table of ratios. `--full` reads up to 10⁶ events."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import bulk, ingest, projection, reads


def main() -> None:
    """Run and print."""
    full = "--full" in sys.argv
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    rows = [
        *ingest.measure(),
        *bulk.measure(),
        *projection.measure(),
        *reads.measure((10_000, 100_000, 1_000_000) if full else (10_000, 100_000)),
    ]
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"{name.ljust(width)}  {text}")


if __name__ == "__main__":
    main()
