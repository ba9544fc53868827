"""Runs inside Triton's Python backend, one copy per instance: an engine that takes a model's own inputs.

It is copied into the model repository and imported there by Triton's stub, so it knows nothing of bench; the engines
lie in a folder that the configuration names, since the stub ignores PYTHONPATH.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import triton_python_backend_utils as pb


class TritonPythonModel:
    """What Triton's Python backend calls."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the engine, which answers the example that the configuration names before anybody asks."""
        parameters = {key: it["string_value"] for key, it in json.loads(args["model_config"])["parameters"].items()}
        sys.path.insert(0, parameters["programs"])
        import engines
        from tensors import NoTensorError, Settings

        threads = int(parameters["threads"])
        settings = Settings.of(parameters["model"], threads, parameters["signature"], parameters["example"])
        self.misfit: type[Exception] = NoTensorError
        self.inputs = [spec.name for spec in settings.inputs]
        self.outputs = {spec.name: spec.dtype for spec in settings.outputs}
        self.compute = engines.load_tensors(parameters["engine"], settings)
        pb.Logger.log_info(
            f"{args['model_instance_name']}: {parameters['engine']}, numpy {np.__version__}, {threads} threads"
        )

    def execute(self, requests: list[Any]) -> list[Any]:
        """One response per request, in order; requests of one shape are computed together."""
        asked = [self.arrays(request) for request in requests]
        if len(asked) > 1 and len({shapes(each) for each in asked}) == 1:
            together = {name: np.concatenate([each[name] for each in asked]) for name in self.inputs}
            try:
                answers = self.compute(together)
            except self.misfit:  # one of them is to blame: find out which by asking one by one
                return [self.alone(each) for each in asked]
            return [self.response(part) for part in dealt(answers, [len(each[self.inputs[0]]) for each in asked])]
        return [self.alone(each) for each in asked]

    def arrays(self, request: Any) -> dict[str, Any]:
        """A request's tensors by name; Triton has compared them with the configuration."""
        return {name: pb.get_input_tensor_by_name(request, name).as_numpy() for name in self.inputs}

    def alone(self, arrays: dict[str, Any]) -> Any:
        """The response to one request."""
        try:
            return self.response(self.compute(arrays))
        except self.misfit as failure:
            return pb.InferenceResponse(error=pb.TritonError(str(failure)))

    def response(self, answers: dict[str, Any]) -> Any:
        """Outputs as Triton takes them."""
        tensors = [pb.Tensor(name, np.asarray(answers[name], dtype)) for name, dtype in self.outputs.items()]
        return pb.InferenceResponse(tensors)


def shapes(arrays: dict[str, Any]) -> tuple[Any, ...]:
    """What has to be alike in requests that are computed together: every axis but the first."""
    return tuple((name, array.shape[1:]) for name, array in sorted(arrays.items()))


def dealt(answers: dict[str, Any], counts: list[int]) -> list[dict[str, Any]]:
    """The rows of answers that were computed together, request by request."""
    ends = np.cumsum(counts)
    return [
        {name: rows[end - count : end] for name, rows in answers.items()}
        for end, count in zip(ends, counts, strict=True)
    ]
