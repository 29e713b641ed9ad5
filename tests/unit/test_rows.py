from __future__ import annotations

import struct

from service.store.rows import content_of


def plain(*fields: bytes | None) -> bytes:
    return b"".join(
        struct.pack("!i", -1) if field is None else struct.pack("!i", len(field)) + field for field in fields
    )


def test_content_is_each_field_with_its_length_before_it_however_many_texts_and_lengths_came_before() -> None:
    for number in range(5_000):  # more than are remembered
        source, identity, data = f"/{number}", "ü" * (number % 200 + 1), b"x" * (number * 7)
        subject, rest = ("s", "5") if number % 3 == 0 else (None, "")
        content = content_of(
            -number, 1, source, identity, "lead.captured", "2024-01-01T00:00:00Z", rest, subject, None, data, None
        )
        assert content == plain(
            struct.pack("!q", -number), struct.pack("!h", 1), source.encode(), identity.encode(), b"lead.captured",
            b"2024-01-01T00:00:00Z", rest.encode(), None if subject is None else subject.encode(), None, data, None,
        )  # fmt: skip
