"""All forms of a scenario's model, built where they are missing, and how fast each answers a photo, taking turns.

A process holds each form, all at the same time, so that whatever disturbs the machine disturbs every form alike. No
server and no request is part of this: what servers make of a form, a run measures.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import ScenarioError
from bench.forms.building import REQUIREMENTS, FormFigures, Forms, build_forms, question
from bench.forms.form_asking import Asked, asked, in_turn
from bench.forms.onnx_model import photo_model
from bench.forms.variants import FILES, VARIANTS
from bench.measures.stats import Interval, percentile_interval
from bench.model.files import ModelFiles
from bench.model.images import decoded_images
from bench.model.obtainable import ONLY_PHOTOS
from bench.payload.photos import SAMPLE, load_photos
from bench.programs.environments import environment
from bench.scenario.budget import Budget, budget_of

if TYPE_CHECKING:
    from bench.scenario.scenario import Scenario

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class FormSpeed:
    """One variant, and the seconds of one answer: median of `n` with its interval; None if it cannot be asked."""

    figures: FormFigures
    p50: Interval | None
    n: int


@dataclass(frozen=True, slots=True)
class FormsInTurn:
    """All variants of a model, the fastest first; asked with `threads` each, in `rounds` rounds of seed `seed`.

    `answered_by` is the runtime whose answers the others are held to. `load_average` is the machine's of the last
    minute, before the first round.
    """

    model: str
    answered_by: str
    photos: int
    threads: int
    rounds: int
    seed: int
    load_average: float
    forms: tuple[FormSpeed, ...]


def forms_in_turn(scenario: Scenario, *, rounds: int, say: Say) -> FormsInTurn:
    """Every form of the scenario's model, and one answer of each timed in turn.

    Raises: ScenarioError if the scenario has no model or its photos cannot be used, ArtifactError if nothing is built.
    """
    spec = scenario.model_spec
    if spec is None:
        raise ScenarioError(
            "the scenario has no model", where=scenario.where("model"), hint="model: {path: my_model.keras}"
        )
    if scenario.sends_tensors:
        raise ScenarioError(
            f"{ONLY_PHOTOS}, and this one is asked with tensors",
            where=scenario.where("payload") or scenario.where("model"),
            hint="'bench run' compares the engines that serve it, each with the file that it takes",
        )
    photos = load_photos(scenario.payload.images or SAMPLE, scenario.folder)
    model, reference = photo_model(spec, photos, say)
    right = np.load(reference.outputs)
    forms = build_forms(model, set(FILES) - set(model.missing), photos, right, say)
    budget, load = budget_of(scenario), os.getloadavg()[0]
    seconds = _timed(forms, model, decoded_images(model, photos, say).file, budget, rounds, scenario.seed, say)
    speeds = sorted((_speed(it, seconds.get(it.name, ())) for it in forms.figures), key=_place)
    return FormsInTurn(
        model=model.name,
        answered_by=model.answered_by,
        photos=len(photos),
        threads=budget.count,
        rounds=rounds,
        seed=scenario.seed,
        load_average=load,
        forms=tuple(speeds),
    )


def _timed(
    forms: Forms, model: ModelFiles, images: Path, budget: Budget, rounds: int, seed: int, say: Say
) -> Mapping[str, Sequence[float]]:
    python = environment("forms", REQUIREMENTS, say)
    there = {it.name for it in forms.figures if not it.failure}
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-forms-")))
        held: dict[str, Asked] = {}
        for variant in (it for it in VARIANTS if it.name in there):
            holding = question(variant, model, forms.files, budget.server, budget.count)
            if holding is None:
                continue
            say(f"loading the model as {variant.name}")
            child = stack.enter_context(asked(python, holding, images, scratch, None))
            if not child.held.failure:
                held[variant.name] = child
        return in_turn(held, rounds, seed, say)


def _speed(figures: FormFigures, seconds: Sequence[float]) -> FormSpeed:
    if not seconds:
        return FormSpeed(figures, None, 0)
    return FormSpeed(figures, percentile_interval(np.array(seconds), 0.5), len(seconds))


def _place(speed: FormSpeed) -> tuple[bool, float]:
    p50 = None if speed.p50 is None else speed.p50.value
    return p50 is None, p50 or 0.0
