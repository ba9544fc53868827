"""The modern tutorial: a FastAPI app that loads its model in `lifespan` and answers in a thread of its pool."""

import contextlib
import os
from collections.abc import AsyncIterator

import anyio.to_thread
from engines import engine
from fastapi import FastAPI, HTTPException, Request, Response
from photos import NoPhotoError, from_base64
from pydantic import BaseModel


class Photo(BaseModel):
    """The body of a request: a JPEG in base64."""

    image: str


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load the model before the first request is taken, and run no more of it at once than was asked for."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = int(os.environ["MODEL_CONCURRENT"])
    app.state.engine = engine()
    yield


app = FastAPI(lifespan=lifespan, openapi_url=None)
WORKER = str(os.getpid())


@app.post("/predict")  # type: ignore[untyped-decorator]  # not installed where types are checked
def predict(photo: Photo, request: Request, response: Response) -> dict[str, list[float]]:
    """The class probabilities of the photo in the request."""
    try:
        probabilities = request.app.state.engine([from_base64(photo.image)])
    except NoPhotoError as problem:
        raise HTTPException(400, str(problem), {"X-Worker": WORKER}) from problem
    response.headers["X-Worker"] = WORKER
    return {"probabilities": probabilities[0].tolist()}
