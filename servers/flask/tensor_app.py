"""The app of `app.py` for a model of any inputs: the same route, inputs and outputs by name."""

import os

from engines import tensor_engine
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue
from tensors import NoTensorError, Settings, read_inputs, written

LOAD_PER_REQUEST = os.environ.get("LOAD_PER_REQUEST") == "true"
INPUTS = Settings.of_environment().inputs

app = Flask(__name__)
model = None if LOAD_PER_REQUEST else tensor_engine()


@app.route("/predict", methods=["POST"])
def predict() -> ResponseReturnValue:
    """The outputs for the inputs in the request."""
    computes = tensor_engine() if model is None else model
    try:
        outputs = computes(read_inputs(request.get_json(force=True), INPUTS))
    except NoTensorError as problem:
        return jsonify(error=str(problem)), 400
    return jsonify(outputs=written(outputs))


@app.errorhandler(400)
def bad_request(problem: Exception) -> ResponseReturnValue:
    """A body that is not JSON, as JSON."""
    return jsonify(error=str(problem)), 400


if __name__ == "__main__":
    app.run(
        host=os.environ["HOST"],
        port=int(os.environ["PORT"]),
        threaded=os.environ.get("THREADED", "true") == "true",
    )
