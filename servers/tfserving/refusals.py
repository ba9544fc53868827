"""What a failed request counts as: the same kinds over gRPC and REST, so that both can be compared.

RESOURCE_EXHAUSTED has several meanings, which only its text tells apart; numbers in texts tell nothing apart.
"""

from __future__ import annotations

import re

_BY_HTTP = {"429": "RESOURCE_EXHAUSTED", "503": "UNAVAILABLE", "504": "DEADLINE_EXCEEDED"}
"""HTTP status -> the code that the program turns into it."""

_NO_THREAD = "no handler thread was free (grpc_max_threads)"
_MEANINGS = (
    ("RESOURCE_EXHAUSTED", r"Threadpool Exhausted", _NO_THREAD),
    ("RESOURCE_EXHAUSTED", r"message larger than max", "the message is larger than allowed"),
    ("RESOURCE_EXHAUSTED", r"waiting in batching queue", "timed out in the batching queue"),
    ("RESOURCE_EXHAUSTED", r"OOM when allocating|[Oo]ut of memory", "the model ran out of memory"),
    ("UNAVAILABLE", r"batch scheduling queue", "the batching queue was full (max_enqueued_batches)"),
    ("DEADLINE_EXCEEDED", r"", "the run took longer than it may"),
)
_ERROR = re.compile(r"(gRPC (?P<code>[A-Z_]+)|HTTP (?P<status>[0-9]{3}))(?:: (?P<text>.*))?", re.DOTALL)


def error_kind(error: str) -> str:
    """The code with what came back and, where its text is known, what it means; other errors as they are."""
    match = _ERROR.fullmatch(error)
    code = match and (match["code"] or _BY_HTTP.get(match["status"]))
    if match is None or code is None:
        return error
    how = f"gRPC {code}" if match["code"] else f"HTTP {match['status']} {code}"
    text = match["text"] or ""
    if code == "RESOURCE_EXHAUSTED" and match["code"] and not text:  # older versions say nothing then
        return f"{how}: {_NO_THREAD}"
    for wanted, sign, meaning in _MEANINGS:
        if code == wanted and re.search(sign, text):
            return f"{how}: {meaning}"
    return f"{how}: {text}" if text else how
