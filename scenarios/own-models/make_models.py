"""Makes three small models of any inputs, seeded, within seconds: python make_models.py [FOLDER]

`tabular.keras` takes a table's row of four numbers and a town's name, `mood.keras` a sentence as text, and
`tokens.keras` the same sentence as whole numbers. They are trained for a moment on made-up data, so that their answers
differ; nobody should believe them. Rows to ask them with are written beside them.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
SEED = 1
TOWNS = ("Bern", "Oslo", "Rome", "Turku")
GOOD, BAD = ("good", "bright", "kind", "warm"), ("bad", "dull", "rude", "cold")
OTHER = ("the", "house", "river", "was", "very", "and", "people", "were", "today")


def main(folder: Path) -> None:
    """Write models and rows."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(SEED)
    rng = np.random.default_rng(SEED)
    folder.mkdir(parents=True, exist_ok=True)
    tabular(rng, folder)
    sentences = [" ".join(rng.choice([*GOOD, *BAD, *OTHER], size=rng.integers(4, 12))) for _ in range(256)]
    moods = np.array([[sum((word in GOOD) - (word in BAD) for word in text.split())] for text in sentences])
    vectorize = mood(sentences, moods, folder)
    tokens(vectorize, sentences, moods, folder)


def tabular(rng: Any, folder: Path) -> None:
    """Two inputs of different types, two outputs: a price, and whether it is sold."""
    import keras
    import tensorflow as tf
    from keras import layers

    measures = rng.normal([80, 3, 1990, 5], [30, 1, 20, 3], size=(512, 4)).astype("float32")
    towns = rng.choice(TOWNS, size=(512, 1))
    price = measures[:, :1] * 4 + 50 * (towns == "Bern") + rng.normal(0, 5, size=(512, 1))

    scale = layers.Normalization()
    scale.adapt(measures)
    numbers = keras.Input((4,), name="measures")
    town = keras.Input((1,), name="town", dtype="string")
    one_hot = layers.StringLookup(vocabulary=list(TOWNS), output_mode="one_hot")(town)
    hidden = layers.Dense(32, activation="relu")(layers.Concatenate()([scale(numbers), one_hot]))
    outputs = {
        "price": layers.Dense(1, name="price")(hidden),
        "sold": layers.Dense(1, activation="sigmoid", name="sold")(hidden),
    }
    model = keras.Model({"measures": numbers, "town": town}, outputs)
    model.compile("adam", {"price": "mse", "sold": "binary_crossentropy"})
    inputs = {"measures": tf.constant(measures), "town": tf.constant(towns.tolist())}
    model.fit(inputs, {"price": price, "sold": price < price.mean()}, epochs=20, verbose=0)
    model.save(folder / "tabular.keras")
    rows = zip(measures[:16].astype(float).round(1).tolist(), towns[:16, 0].tolist(), strict=True)
    write_rows(folder / "houses.jsonl", [{"measures": each, "town": name} for each, name in rows])


def mood(sentences: list[str], moods: Any, folder: Path) -> Any:
    """One string in, three classes out; the vocabulary lies inside the model.   The layer that holds it."""
    import keras
    from keras import layers

    vectorize = layers.TextVectorization(max_tokens=100, output_sequence_length=16)
    vectorize.adapt(sentences)
    text = keras.Input((), name="text", dtype="string")
    vectors = layers.Embedding(100, 16)(vectorize(text))
    classes = layers.Dense(3, activation="softmax", name="mood")(layers.GlobalAveragePooling1D()(vectors))
    fitted(keras.Model(text, classes), sentences, moods).save(folder / "mood.keras")
    write_rows(folder / "sentences.jsonl", list(dict.fromkeys(sentences[:16])))
    return vectorize


def tokens(vectorize: Any, sentences: list[str], moods: Any, folder: Path) -> None:
    """A sequence of whole numbers of any length in, three classes out; one .npy file is one request."""
    import keras
    import numpy as np
    from keras import layers

    ids = vectorize(sentences).numpy().astype("int32")
    given = keras.Input((None,), name="tokens", dtype="int32")
    vectors = layers.Embedding(100, 16)(given)
    classes = layers.Dense(3, activation="softmax", name="mood")(layers.GlobalAveragePooling1D()(vectors))
    fitted(keras.Model(given, classes), ids, moods).save(folder / "tokens.keras")
    (folder / "tokens").mkdir(exist_ok=True)
    for number, row in enumerate(np.unique(ids[:16], axis=0)):
        np.save(folder / "tokens" / f"{number:02d}.npy", row[row > 0])


def fitted(model: Any, inputs: Any, moods: Any) -> Any:
    """A classifier after a moment of training: bad, neither, good."""
    import numpy as np
    import tensorflow as tf

    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(tf.constant(inputs), np.sign(moods) + 1, epochs=20, verbose=0)
    return model


def write_rows(file: Path, rows: list[Any]) -> None:
    """JSON lines."""
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent / "models")
