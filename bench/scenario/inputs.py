"""What a scenario sends: photos, or tensors from files, rows or a seed; and whether that goes with its model.

Decided from the scenario and the model's file, without TensorFlow. This module starts nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.errors import ScenarioError
from bench.model.model_signature import file_signature, takes_photos
from bench.payload.signature import Signature, one_image, specs_text

if TYPE_CHECKING:
    from bench.payload.examples import Example, Raw
    from bench.scenario.scenario import Scenario

DEFAULT_EXAMPLES, DEFAULT_SEED = 16, 1
"""Of the generator, where a scenario says nothing."""
_NO_MODEL = "tensors are made as a model's signature says, and the scenario names no model"


def sends_tensors(scenario: Scenario) -> bool:
    """Whether requests carry tensors; where no payload is written, a model file that takes no photos gets them."""
    if scenario.payload.kind is not None:
        return scenario.payload.kind != "images"
    path = scenario.model_path
    if path is None or not path.exists():
        return False
    return not takes_photos(path)


def known_signature(scenario: Scenario) -> Signature | None:
    """What the scenario's model takes, as far as its file tells; None if it does not."""
    path = scenario.model_path
    return None if path is None else file_signature(path)


def raws_of(scenario: Scenario) -> tuple[Raw, ...] | None:
    """The payload's examples as they are written; None if they are to be generated.   Raises: ScenarioError."""
    from bench.payload.examples import read_rows, read_tensors

    if scenario.payload.tensors is not None:
        return read_tensors(scenario.payload.tensors, scenario.folder)
    return read_rows(scenario.payload.rows, scenario.folder) if scenario.payload.rows is not None else None


def examples_for(scenario: Scenario, signature: Signature) -> tuple[Example, ...]:
    """The payload's examples, as a model of this signature takes them.   Raises: ScenarioError."""
    from bench.payload.examples import fit, generated

    raws = raws_of(scenario)
    if raws is not None:
        return fit(raws, signature)
    made = scenario.payload.generate
    return generated(signature, made.examples if made else DEFAULT_EXAMPLES, made.seed if made else DEFAULT_SEED)


def check_payload(scenario: Scenario) -> None:
    """Looks at every file of the payload, and whether it goes with what the model's file says that it takes.

    Raises: ScenarioError.
    """
    payload, signature = scenario.payload, known_signature(scenario)
    if signature is not None and not signature.inputs:
        raise ScenarioError("the model takes no input, so every request would be the same")
    if not sends_tensors(scenario):
        path = scenario.model_path
        if path is not None and path.suffix == ".onnx":
            from bench.model.onnx_file import check_photos  # here: it takes numpy with it

            if signature is not None:  # else the check of the file has said what is wrong
                check_photos(path)
        elif signature is not None and signature.inputs and not one_image(signature.inputs):
            raise ScenarioError(
                f"photos, and the model takes {specs_text(signature.inputs)}",
                hint="give 'tensors', 'rows' or 'generate' instead of 'images'; docs/own-models.md shows each",
            )
        from bench.payload.photos import SAMPLE, load_photos

        load_photos(payload.images or SAMPLE, scenario.folder)
    elif scenario.model is None:
        raise ScenarioError(_NO_MODEL, hint="add for example 'model: {path: my_model.keras}'")
    elif signature is not None:
        examples_for(scenario, signature)
    else:
        raws_of(scenario)
