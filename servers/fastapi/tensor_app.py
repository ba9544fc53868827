"""The app of `app.py` for a model of any inputs: the same route, inputs and outputs by name."""

import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

import anyio.to_thread
from engines import tensor_engine
from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import BaseModel
from tensors import NoTensorError, Settings, read_inputs, written


class Inputs(BaseModel):
    """The body of a request: nested lists by input name."""

    inputs: dict[str, Any]


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load the model before the first request is taken, and run no more of it at once than was asked for."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = int(os.environ["MODEL_CONCURRENT"])
    app.state.specs = Settings.of_environment().inputs
    app.state.engine = tensor_engine()
    yield


app = FastAPI(lifespan=lifespan, openapi_url=None)
WORKER = str(os.getpid())


@app.post("/predict")  # type: ignore[untyped-decorator]  # not installed where types are checked
def predict(asked: Inputs, request: Request, response: Response) -> dict[str, Any]:
    """The outputs for the inputs in the request."""
    state = request.app.state
    try:
        outputs = state.engine(read_inputs({"inputs": asked.inputs}, state.specs))
    except NoTensorError as problem:
        raise HTTPException(400, str(problem), {"X-Worker": WORKER}) from problem
    response.headers["X-Worker"] = WORKER
    return {"outputs": written(outputs)}
