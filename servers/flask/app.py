"""The server that a tutorial ends with: Flask, `load_model`, `model.predict`, `app.run`.

Nothing here is tuned; that is what it is for. Only its settings come from the environment.
"""

import base64
import binascii
import os
from typing import Any

import keras
import tensorflow as tf
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

MODEL_PATH = os.environ["MODEL_PATH"]
IMAGE_SIZE = (int(os.environ["IMAGE_HEIGHT"]), int(os.environ["IMAGE_WIDTH"]))
LOAD_PER_REQUEST = os.environ.get("LOAD_PER_REQUEST") == "true"

app = Flask(__name__)
model: Any = None if LOAD_PER_REQUEST else keras.models.load_model(MODEL_PATH)


def read_image(jpeg: bytes) -> Any:
    """One photo as the model takes it: shape (1, height, width, 3), values 0-255."""
    image = tf.io.decode_jpeg(jpeg, channels=3)
    image = tf.image.resize(image, IMAGE_SIZE)
    return tf.expand_dims(image, axis=0)


@app.route("/predict", methods=["POST"])
def predict() -> ResponseReturnValue:
    """The class probabilities of the photo in the request."""
    try:
        batch = read_image(base64.b64decode(request.get_json(force=True)["image"], validate=True))
    except (KeyError, TypeError, binascii.Error, tf.errors.InvalidArgumentError) as problem:
        return jsonify(error=f"no photo in the request: {problem}"), 400

    classifier = keras.models.load_model(MODEL_PATH) if LOAD_PER_REQUEST else model
    probabilities = classifier.predict(batch, verbose=0)
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
