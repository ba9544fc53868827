"""Everything that servers need before they can be started: payloads, the model, right answers, environments.

Built once into the cache; the second run of a scenario finds it all there.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import ArtifactError, ScenarioError
from bench.forms.building import FormFigures, Forms, build_forms
from bench.forms.onnx_model import build_onnx_tensor_model, onnx_tensor_reference, photo_model
from bench.forms.variants import FILES
from bench.measures.answers import MARGIN, Expectation, expectation
from bench.model.files import ModelFiles
from bench.model.identity import model_digest
from bench.model.images import decoded_images
from bench.model.obtainable import ONLY_PHOTOS
from bench.model.tensor_model import build_tensor_model, given_signature, tensor_reference
from bench.payload.photos import SAMPLE, load_photos
from bench.programs.environments import environment
from bench.scenario.inputs import examples_for

if TYPE_CHECKING:
    from bench.scenario.scenario import Scenario
    from bench.scenario.servers import ServerEntry

EXACT = 1e-5
"""Tolerance for servers that compute their answer from the photo's bytes: room for float32 and JSON only."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Materials:
    """What the servers of one run share; `model` and `right` are None if no server runs the model."""

    payloads: tuple[bytes, ...]
    """What each request carries: a photo's bytes, or the packed tensors of an example."""
    model: ModelFiles | None
    right: Expectation | None
    forms: tuple[FormFigures, ...] = ()
    """Every form of the model that this run has, with its distance from the reference; none where only its own build's
    are served."""
    missing_forms: Mapping[str, str] = field(default_factory=dict)
    """Forms that could not be made, with the reason."""
    model_digest: str = ""
    """Which model it is, by its content; empty without one."""
    least_agreement: float | None = None
    """What the scenario asks of servers that round on purpose."""

    def right_answers(self, entry: ServerEntry) -> Expectation | None:
        """What this server has to answer: what it says itself where it runs no model, else the model's reference.

        None for one whose own first answers are to tell.
        Raises: ArtifactError if there is no such answer, or if all photos have the same one.
        """
        own = [entry.server.expected(payload) for payload in self.payloads]
        if own[0] is None:
            if entry.server.may_learn and (self.right is None or not entry.server.judged_by_model):
                return None
            if self.right is None:
                raise ArtifactError(f"server {entry.name!r} runs no model and does not say what it should answer")
            return self._right_for(entry.server.other_work)
        right = expectation([answer for answer in own if answer is not None], EXACT)
        if right.photo_distance < MARGIN * right.tolerance:
            raise ArtifactError(f"the check of answers could not fail: {entry.name!r} should answer all photos alike")
        return right

    def _right_for(self, other_work: str) -> Expectation:
        assert self.right is not None
        if not other_work:
            return self.right
        return replace(self.right, other_work=other_work, least_agreement=self.least_agreement)


def prepare(scenario: Scenario, entries: Sequence[ServerEntry], say: Say) -> Materials:
    """What is asked, and the model with its reference where one of the servers runs it.

    Raises: ScenarioError for payloads or files that cannot be used, ArtifactError if building fails.
    """
    found = (_with_tensors if scenario.sends_tensors else _with_photos)(scenario, entries, say)
    if found.model is None or scenario.model_spec is None:
        return found
    return replace(found, model_digest=model_digest(scenario.model_spec))


def _with_photos(scenario: Scenario, entries: Sequence[ServerEntry], say: Say) -> Materials:
    photos = load_photos(scenario.payload.images or SAMPLE, scenario.folder)
    payloads = tuple(photo.jpeg for photo in photos)
    wanted = any(entry.server.model_form is not None or entry.server.judged_by_model for entry in entries)
    if scenario.model is None or not wanted:
        return Materials(payloads, None, None)
    spec = scenario.model_spec
    assert spec is not None
    with _of_model(scenario):
        model, reference = photo_model(spec, photos, say)
    if any(entry.server.needs_images for entry in entries):
        model = replace(model, images=decoded_images(model, photos, say))
    outputs = np.load(reference.outputs)
    right = Expectation(outputs, reference.tolerance, reference.photo_distance)
    materials = Materials(payloads, model, right, missing_forms=model.missing, least_agreement=scenario.least_agreement)
    wanted_forms = ({str(entry.server.model_form) for entry in entries} & set(FILES)) - set(model.missing)
    return _with_forms(materials, build_forms(model, wanted_forms, photos, outputs, say)) if wanted_forms else materials


@contextlib.contextmanager
def _of_model(scenario: Scenario) -> Iterator[None]:
    """The line of the model beside what is wrong with its file, which only its own runtime could judge."""
    try:
        yield
    except ScenarioError as failure:
        where = failure.where or scenario.where("model", "path")
        raise ScenarioError(failure.what, where=where, hint=failure.hint) from None


def _with_tensors(scenario: Scenario, entries: Sequence[ServerEntry], say: Say) -> Materials:
    """Examples, the model with its signature, and what it answers to them."""
    spec = scenario.model_spec
    assert spec is not None
    known = given_signature(spec)
    examples = examples_for(scenario, known) if known is not None else ()
    given_as_onnx = spec.path is not None and spec.path.suffix == ".onnx"
    with _of_model(scenario):
        model = build_onnx_tensor_model(spec, say) if given_as_onnx else build_tensor_model(spec, examples, say)
    assert model.signature is not None
    examples = examples_for(scenario, model.signature)
    answered = onnx_tensor_reference if given_as_onnx else tensor_reference
    reference, outputs = answered(model, examples, say)
    payloads = tuple(example.packed for example in examples)
    right = Expectation(outputs, reference.tolerance, reference.photo_distance)
    wanted = {str(entry.server.model_form) for entry in entries} & set(FILES)
    missing = {**dict.fromkeys(wanted - set(model.forms), ONLY_PHOTOS), **model.missing}
    return Materials(
        payloads,
        replace(model, example=payloads[0]),
        right,
        missing_forms=missing,
        least_agreement=scenario.least_agreement,
    )


def _with_forms(materials: Materials, forms: Forms) -> Materials:
    assert materials.model is not None
    sizes = {it.form: it.size_bytes for it in forms.figures if it.size_bytes is not None}
    model = replace(materials.model, forms=forms.files, size_bytes={**materials.model.size_bytes, **sizes})
    missing = {it.form: it.failure for it in forms.figures if it.form in FILES and it.form not in forms.files}
    return replace(materials, model=model, forms=forms.figures, missing_forms={**materials.missing_forms, **missing})


def interpreters(entries: Sequence[ServerEntry], say: Say) -> tuple[Mapping[str, Path], Mapping[str, ArtifactError]]:
    """Python of each server's environment by server name, and for those that could not be built the reason."""
    found: dict[str, Path] = {}
    failed: dict[str, ArtifactError] = {}
    for entry in entries:
        try:
            entry.server.prepare(say)
        except ArtifactError as failure:
            failed[entry.name] = failure
            continue
        if entry.server.requirements is None:
            found[entry.name] = Path(sys.executable)
            continue
        try:
            pinned = entry.folder / entry.server.requirements
            found[entry.name] = environment(pinned.parent.name, pinned, say)
        except ArtifactError as failure:
            what = f"its environment could not be built: {failure.what}"
            failed[entry.name] = ArtifactError(what, where=failure.where, hint=failure.hint)
    return found, failed
