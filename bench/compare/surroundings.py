"""Where two measurements were made: what must be the same for them to be compared, and what should be said if not.

HARD keys decide the numbers and survive a reboot; SOFT ones may matter; what is under test is expected to differ.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from bench.results import METHOD_VERSION, Manifest, ServerRecord

Facts = dict[str, Any]


def hard_facts(manifest: Manifest) -> Facts:
    """What makes figures incomparable where it differs: method, machine, load, photos, SLO, where load comes from."""
    return {
        "method version": manifest.method_version,
        **machine_facts(manifest.environment),
        **_placement(manifest.budget),
        **_asked(manifest),
    }


def payload_facts(one: Manifest, two: Manifest) -> tuple[Facts, Facts]:
    """What requests really carried: a path that is written alike may hold other photos by now.

    Nothing where one of the runs did not note it.
    """
    if not (one.payload_digest and two.payload_digest):
        return {}, {}
    first, second = ({"content of the payload": f"sha256 {it.payload_digest[:12]}"} for it in (one, two))
    return first, second


def server_facts(server: ServerRecord) -> Facts:
    """Where one server stands: beside its client or across a network, which is part of every latency."""
    url = server.options.get("url")
    if not isinstance(url, str):
        return {"server on": "this machine"}
    host = urlsplit(url).hostname or ""
    with contextlib.suppress(ValueError):
        host = "localhost" if ip_address(host).is_loopback else host
    return {"server on": "this machine" if host == "localhost" else "another machine"}


def tested_facts(server: ServerRecord) -> Facts:
    """What is under test: expected to differ between two sides, and said where it does."""
    return {
        "kind": server.kind
        if "/" not in server.kind
        else "",  # a path says where a commit was checked out, not what it is
        "version": server.version,
        "model form": server.model_form,
        "model": f"sha256 {server.model_digest[:12]}" if server.model_digest else "",
        "model bytes": server.model_bytes,
        **{f"key {name}": value for name, value in server.options.items()},
    }


def under_test(one: ServerRecord, two: ServerRecord) -> tuple[str, ...]:
    """What two servers differ in by themselves: keys, versions with the digests of images, models."""
    facts = tested_facts(one), tested_facts(two)
    if not all(found["model"] for found in facts):  # one of them did not note it
        for found in facts:
            del found["model"]
    return tuple(f"under test: {text}" for text in differing(*facts))


def machine_facts(environment: Mapping[str, Any]) -> Facts:
    """The machine, coarsely: what a reboot leaves as it is."""
    cpu = environment.get("cpu")
    cpu = cpu if isinstance(cpu, Mapping) else {"model": cpu}
    memory = environment.get("memory_bytes")
    gpus = environment.get("gpus") or ()
    product = environment.get("product")
    return {
        **({"instance type": product} if product else {}),
        "CPU model": cpu.get("model"),
        "logical cores": cpu.get("logical_cores"),
        "usable cores": cpu.get("usable_cores"),
        "core quota": cpu.get("quota_cores"),
        "memory": round(memory / 1e9) if isinstance(memory, int | float) else None,
        "GPUs": [gpu.get("name") for gpu in gpus if isinstance(gpu, Mapping)],
        "GPU driver": sorted(
            {str(gpu.get("driver", "")).partition(".")[0] for gpu in gpus if isinstance(gpu, Mapping)}
        ),
        "architecture": environment.get("architecture"),
    }


def soft_facts(manifest: Manifest) -> Facts:
    """What may matter and is only said: kernel, versions, governor, what else the machine did."""
    environment = manifest.environment
    cpu = environment.get("cpu")
    cpu = cpu if isinstance(cpu, Mapping) else {}
    return {
        "kernel": environment.get("kernel"),
        "OS": environment.get("os"),
        "container": environment.get("container"),
        "governor": cpu.get("governor"),
        "turbo": cpu.get("turbo"),
        "bench": manifest.bench_version,
        **{f"version of {name}": version for name, version in manifest.versions.items() if name != "serving-bench"},
    }


def environment_key(environment: Mapping[str, Any]) -> str:
    """A name for the machine as `machine_facts` sees it, the same after a reboot."""
    facts = {"method": METHOD_VERSION, **machine_facts(environment)}
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def differing(one: Facts, two: Facts) -> list[str]:
    """`CPU model: A in the baseline, B in the candidate` for every key whose values differ."""
    return [
        f"{key}: {_shown(one.get(key))} in the baseline, {_shown(two.get(key))} in the candidate"
        for key in dict.fromkeys((*one, *two))
        if one.get(key) != two.get(key)
    ]


def _shown(value: Any) -> str:
    """A number without what binary arithmetic leaves behind its digits: 9 ms are 0.009, not 0.009000000000000001."""
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _placement(budget: Mapping[str, Any]) -> Facts:
    """How many cores server and client had, and whether the client was on the server's machine at all."""
    if not budget:
        return {}
    server, generator, shared = (budget.get(key) or () for key in ("server", "generator", "shared"))
    return {
        "cores of the servers": len(server),
        "cores of the load generator": len(generator) or "on other machines",
        "cores that both share": len(shared),
    }


def _asked(manifest: Manifest) -> Facts:
    """What was asked of the servers, out of the scenario as it was resolved."""
    scenario = manifest.scenario
    return {
        "seed": manifest.seed,
        "load": _text(scenario.get("load")),
        "photos": _text(scenario.get("payload")),
        "SLO": _text(dict(manifest.slo)),
        "warm-up": _text(scenario.get("warmup")),
        "timeout": scenario.get("timeout"),
        "load workers": scenario.get("workers"),
    }


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
