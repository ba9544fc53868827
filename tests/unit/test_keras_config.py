"""A .keras file that cannot be loaded here is refused before TensorFlow is, with the class that is to blame."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from bench.errors import ScenarioError
from bench.model.check import check_model_file
from bench.model.keras_config import obstacle


def layer(name: str, module: str | None = "keras.layers", registered: str | None = None, **config: object) -> object:
    return {"class_name": name, "module": module, "registered_name": registered, "config": config}


def model(*layers: object) -> dict[str, object]:
    return {
        "class_name": "Functional",
        "module": "keras.src.models.functional",
        "registered_name": "Functional",
        "config": {"layers": list(layers)},
    }


def archive(folder: Path, text: str) -> Path:
    path = folder / "m.keras"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", text)
    return path


def test_layers_of_keras_are_no_obstacle(tmp_path: Path) -> None:
    config = model(
        layer("Dense", dtype={"class_name": "DTypePolicy", "module": "keras", "config": {"name": "float32"}})
    )
    assert obstacle(config) == ("", "")
    check_model_file(archive(tmp_path, json.dumps(config)))


def test_a_class_of_ones_own_is_named(tmp_path: Path) -> None:
    path = archive(tmp_path, json.dumps(model(layer("Dense"), layer("Mine", None, "Mine"))))
    with pytest.raises(ScenarioError, match="needs the class 'Mine', which is not Keras's own") as told:
        check_model_file(path)
    assert "SavedModel" in told.value.hint


@pytest.mark.parametrize("module", ["__main__", "no_such_package_anywhere.layers"])
def test_a_class_of_a_module_that_is_not_here_is_named_with_it(module: str) -> None:
    assert f"of the module {module!r}" in obstacle(model(layer("Mine", module, "Mine")))[0]


def test_a_class_that_can_be_imported_is_left_to_keras() -> None:
    assert obstacle(model(layer("Mine", "json.decoder", "Mine"))) == ("", "")


def test_python_code_in_a_lambda_layer_is_refused_with_the_reason(tmp_path: Path) -> None:
    code = {"class_name": "__lambda__", "config": {"code": "4wEA"}}
    with pytest.raises(ScenarioError, match="Lambda layer, whose Python code would run while it is loaded"):
        check_model_file(archive(tmp_path, json.dumps(model(layer("Lambda", function=code)))))


def test_a_description_that_is_no_json_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"config\.json is not JSON"):
        check_model_file(archive(tmp_path, "{"))
