"""FastAPI's hello world, as its first page of documentation has it."""

from __future__ import annotations

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def hello() -> dict[str, str]:
    """One JSON object of one field."""
    return {"message": "Hello World"}
