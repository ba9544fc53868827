"""The app of `app.py` around another engine than `model.predict`: the same route, the same answers, the same errors."""

import os

from engines import engine
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue
from photos import NoPhotoError, from_base64

app = Flask(__name__)
model = engine()


@app.route("/predict", methods=["POST"])
def predict() -> ResponseReturnValue:
    """The class probabilities of the photo in the request."""
    try:
        probabilities = model([from_base64(request.get_json(force=True)["image"])])
    except (KeyError, TypeError, NoPhotoError) as problem:
        return jsonify(error=f"no photo in the request: {problem}"), 400
    return jsonify(probabilities=probabilities[0].tolist())


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
