"""What the service is measured against: a bare FastAPI app that validates the same body with pydantic and echoes it."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Event(BaseModel):
    """A CloudEvent as pydantic has it."""

    specversion: str
    id: str
    source: str
    type: str
    time: datetime
    data: dict[str, Any]


@app.post("/v1/events", status_code=201)
async def echo(event: Event) -> Event:
    """Answer with what came."""
    return event


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False, lifespan="off")
