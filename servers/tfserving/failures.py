"""What the program's log and exit code mean for the person who started it, by the words that it is known to use.

Also how far a start has come, and what it spent its time with.
"""

from __future__ import annotations

import re

_ILLEGAL, _KILLED = (-4, 132), (-9, 137)
"""As a parent sees a signal, and as a shell or a container passes it on."""

_WORDS: tuple[tuple[str, str], ...] = (
    (
        r"unknown argument: (?P<it>\S+)",
        "this version of the program has no flag {it}; it runs on without it, which is not what the scenario asks for",
    ),
    (
        r"Could not find base path (?P<it>\S+)",
        "there is no model folder {it}; the program would wait for it for ever",
    ),
    (
        r"No versions of servable \S+ found under base path (?P<it>[^\s,]+?)\.?\s",
        "{it} holds no version folder; a model lies in a folder named by a number: {it}/1/saved_model.pb",
    ),
    (
        r"Op type not registered '(?P<it>[^']+)'",
        "the model uses the operation {it}, which this build of TensorFlow Serving does not have; serve it with a "
        "version at least as new as the TensorFlow that saved it, or build the program with that operation",
    ),
    (
        r"does not appear to contain a SavedModel",
        "the version folder holds no SavedModel; copy it again, under another name first, and rename it when it is "
        "whole",
    ),
    (
        r"(?:DATA_LOSS|Data loss|Read less bytes than requested|Unable to open table file"
        r"|Failed to find matching files)",
        "the model's files are damaged or were copied half; copy the version folder again, under another name first, "
        "and rename it when it is whole",
    ),
    (
        r"Loading servable: \{[^}]*\} failed: (?P<it>[^\n]+)",
        "the model could not be loaded: {it}",
    ),
    (
        r"Failed to BuildAndStart gRPC server",
        "its gRPC port was taken by another program while it started; nothing is wrong with the scenario: run again",
    ),
    (
        r"(?:Couldn't bind to port (?P<it>\d+)|Failed to start HTTP Server)",
        "its REST port was taken by another program while it started, and it runs on with gRPC alone; nothing is "
        "wrong with the scenario: run again",
    ),
    (
        r"Failed to start server\. Error: (?P<it>[^\n]+)",
        "the program refuses what it was given: {it}",
    ),
)
"""In the order in which they explain: what caused a failure comes before what it led to."""

_NO_MEMORY = re.compile(r"OOM when allocating|CUDA_ERROR_OUT_OF_MEMORY|std::bad_alloc")
"""Also said by programs that find another way, so only the log of one that ended is searched for it."""

_STAGES = (
    ("Entering the event loop", "its ports are open"),
    ("Running gRPC ModelServer", "its gRPC port is open"),
    ("Successfully loaded servable version", "the model is loaded"),
    ("Starting to read warmup data", "it was replaying the model's warm-up records"),
    ("Loading servable version", "it was still loading the model"),
    ("Building single TensorFlow model file config", "it was looking for the model"),
)


def explanation(log: str, exit_code: int | None) -> str | None:
    """The sentence that a failure calls for; None if the log shows nothing that is known.

    Without an exit code only what makes waiting vain counts.
    """
    if exit_code is not None and _NO_MEMORY.search(log):
        return "it ran out of memory; set gpu_memory_fraction or max_batch_size lower, or serve a smaller model"
    for pattern, sentence in _WORDS:
        match = re.search(pattern, log)
        if match is not None:
            return sentence.format(it=(match.groupdict().get("it") or "").strip())
    if exit_code in _ILLEGAL:
        return (
            "this CPU lacks instructions that the program was compiled for (AVX and SSE4.2); install the package "
            "tensorflow-model-server-universal, which does without them"
        )
    if exit_code in _KILLED:
        return "most likely the kernel killed it because memory ran out (dmesg tells); free some, or serve less at once"
    return None


_TOOK = {
    "load": r"SavedModel load for tags [^\n]*Took (\d+) microseconds",
    "warmup": r"Finished reading warmup data [^\n]*Elapsed time \(microseconds\): (\d+)",
}


def startup_parts(log: str) -> dict[str, float]:
    """Seconds that loading its models and replaying their warm-up records took, as far as the log tells.

    Versions that are loaded once its ports are open are no part of its start.
    """
    start = log.partition("Running gRPC ModelServer")[0]
    found = {name: re.findall(pattern, start) for name, pattern in _TOOK.items()}
    return {name: sum(map(int, times)) / 1e6 for name, times in found.items() if times}


def stage(log: str) -> str:
    """How far the start has come; empty before the first line that tells."""
    return next((words for sign, words in _STAGES if sign in log), "")
