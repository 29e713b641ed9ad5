"""What the service is measured against: a bare FastAPI app with an echo, kept bytes, and plain SQL, and a raw ASGI echo.

python benchmarks/bare.py PORT [DSN]
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import asyncpg
import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import plain


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    if len(sys.argv) > _WITH_DSN:
        app.state.pool = await asyncpg.create_pool(sys.argv[_WITH_DSN], min_size=10, max_size=10)
    yield


app = FastAPI(lifespan=_lifespan)
_WITH_DSN = 2
_JSON = "application/json"


class Event(BaseModel):
    """A CloudEvent as pydantic has it."""

    specversion: str
    id: str
    source: str
    type: str
    time: datetime
    data: dict[str, Any]


@app.post("/echo", status_code=201)
async def echo(event: Event) -> Event:
    """Answer with what came."""
    return event


@app.post("/kept")
async def keep(request: Request) -> Response:
    """Keep bytes to answer with."""
    app.state.kept = await request.body()
    return Response()


@app.get("/kept")
async def kept() -> Response:
    """Answer with the bytes kept."""
    return Response(app.state.kept, media_type=_JSON)


@app.get("/unchanged")
async def unchanged() -> Response:
    """Answer that nothing has changed."""
    return Response(status_code=304)


@app.get("/sql/roi")
async def sql_roi(since: date, until: date) -> list[dict[str, Any]]:
    """Costs, leads and revenues per campaign, as one query over normalised tables."""
    return [dict(row) for row in await app.state.pool.fetch(plain.ROI, since, until)]


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Echo posts to /raw by bare ASGI; leave the rest to FastAPI."""
    if scope.get("path") != "/raw":
        await app(scope, receive, send)
        return
    message = await receive()
    body: bytes = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    uvicorn.run(application, host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False)
