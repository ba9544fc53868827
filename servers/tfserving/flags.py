"""The program's flags: which are the harness's own, which have a key, and what is refused before a start.

The program itself says nothing that would end it of a flag that it does not know, and runs on without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from bench.errors import LaunchError
from bench.names import nearest

from .sources import PROGRAM, Binary, InImage  # noqa: TID252 -- this folder is no part of any package that has a name

FlagValue = bool | int | float | str

OURS = frozenset(
    {
        "port",
        "rest_api_port",
        "grpc_socket_path",
        "model_name",
        "model_base_path",
        "monitoring_config_file",
        "enable_batching",
        "batching_parameters_file",
        "enable_per_model_batching_parameters",
        "max_num_load_retries",
        "load_retry_interval_micros",
        "file_system_poll_wait_seconds",
    }
)
REFUSED = {
    "platform_config_file": "it makes the program ignore its flags for batching, threads and GPU",
    "ssl_config_file": "the load is sent without TLS",
    "use_alts_credentials": "the load is sent without TLS",
    "version": "it makes the program exit at once",
    "help": "it makes the program exit at once",
}
"""Flags with which nothing could be measured, and why."""
KEYS = {
    "grpc_max_threads": "grpc_max_threads",
    "rest_api_num_threads": "rest_api_num_threads",
    "model_config_file": "models",
    "model_config_file_poll_wait_seconds": "models",
    "allow_version_labels_for_unavailable_models": "models",
    "tensorflow_session_parallelism": "intra_op_threads",
    "tensorflow_intra_op_parallelism": "intra_op_threads",
    "tensorflow_inter_op_parallelism": "inter_op_threads",
    "tensorflow_session_config_file": "session_config_file",
    "mixed_precision": "mixed_precision",
    "xla_cpu_compilation_enabled": "xla",
    "xla_gpu_compilation_enabled": "xla",
    "per_process_gpu_memory_fraction": "gpu_memory_fraction",
    "num_request_iterations_for_warmup": "model_warmup",
    "enable_model_warmup": "model_warmup",
}
"""Flags that have a key of their own, so that none is given twice."""
OVERWRITTEN = {
    "intra_op_parallelism_threads": "intra_op_threads",
    "inter_op_parallelism_threads": "inter_op_threads",
    "per_process_gpu_memory_fraction": "gpu_memory_fraction",
}
"""What the program overwrites in a session configuration with its flags, also with those left at their default."""
APART = "grpc.so_reuseport=0"
"""Else two servers share one port without a word."""
_ALWAYS = frozenset(
    {
        "model_config_file",
        "grpc_max_threads",
        "rest_api_num_threads",
        "tensorflow_intra_op_parallelism",
        "tensorflow_inter_op_parallelism",
    }
)
"""Flags with a key that every version has."""


def check_given(flags: Mapping[str, FlagValue], protocol: str) -> None:
    """Raise ValueError for flags of a scenario that are the harness's, have a key, or would spoil the measurement."""
    for name in flags:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ValueError(f"not the name of a flag: {name!r}; write it without dashes, as in num_load_threads")
        if name in OURS:
            raise ValueError(f"flag {name} is set by the harness")
        if name in KEYS:
            raise ValueError(f"flag {name} has a key of its own: {KEYS[name]}")
        if name in REFUSED:
            raise ValueError(f"flag {name} cannot be used: {REFUSED[name]}")
    arguments = str(flags.get("grpc_channel_arguments", ""))
    if "so_reuseport" in arguments:
        raise ValueError("grpc.so_reuseport is set by the harness: two servers must never share a port")
    for entry in filter(None, arguments.split(",")):
        if "=" not in entry:  # the program reads it out of range
            raise ValueError(f"grpc_channel_arguments is a list of name=value, got {entry!r}")
    if protocol == "rest" and flags.get("enable_serialization_as_tensor_content"):
        raise ValueError("enable_serialization_as_tensor_content empties the answers of REST; use protocol: grpc")


def check_known(origin: Binary | InImage, flags: Mapping[str, FlagValue], given: Mapping[str, FlagValue]) -> None:
    """Raise LaunchError for flags that the program does not have: it would print its usage and run on without them.

    It is asked only where the scenario wants more than every version has; else its log would tell. `given` are the
    flags that the scenario names itself.
    """
    asked = [name for name in flags if name in given or (name in KEYS and name not in _ALWAYS)]
    known = set(re.findall(r"--(\w+)=", origin.says("--help"))) if asked else set()
    for name in asked:
        if known and name not in known:
            near = nearest(name, known) if name in given else None
            hint = f"did you mean {near}?" if near else f"see {origin.program} --help; a newer version may have it"
            raise LaunchError(f"{PROGRAM} has no flag {name}", hint=hint)


def check_session_config(file: Path) -> None:
    """Raise LaunchError for what would be overwritten without a word, or cannot be read."""
    try:
        text = file.read_text()
    except OSError as failure:
        raise LaunchError(f"cannot be read: {failure.strerror}", where=str(file)) from failure
    for name, key in OVERWRITTEN.items():
        if re.search(rf"\b{name}\s*:", text):
            raise LaunchError(
                f"{name} in a session configuration is overwritten by the program's flags",
                where=str(file),
                hint=f"take it out, and write {key} in the scenario",
            )


def flag_text(value: FlagValue) -> str:
    """A flag's value as the program reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
