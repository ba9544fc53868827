"""Clipper 0.4.1, a research artefact: its frontends, Redis and the containers of a model of a person's own.

What its own admin client starts and registers is started and registered here, without the metrics around it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from bench.programs import docker
from bench.server import Command, Duration, Missing, Place
from bench.serving.imaged import ImageServer, lacking_image

if TYPE_CHECKING:
    from .api import ClipperApi  # noqa: TID252 -- this folder is no part of any package that has a name

VERSION = "0.4.1"
QUERY, MANAGEMENT, REDIS = f"clipper/query_frontend:{VERSION}", f"clipper/management_frontend:{VERSION}", "redis:alpine"
APPLICATION = MODEL = "classifier"
MODEL_VERSION = "1"
_QUERY_PORT, _MANAGEMENT_PORT, _REDIS_PORT = 1337, 1338, 6379
_CLUSTER = Path(__file__).with_name("cluster.py")


@dataclass(frozen=True, kw_only=True)
class Server(ImageServer):
    """Clipper; its keys are its admin client's own, spelled alike."""

    title: ClassVar[str] = "Clipper 0.4.1 with a model container of your own (needs its images)"
    needs: ClassVar[str] = "a Docker engine, Clipper's images, and an image that its deployer built of your model"
    usual_image: ClassVar[str] = QUERY
    port_count: ClassVar[int] = 2

    user: Literal["me", "image"] = "image"
    """Redis keeps its data in a folder of its image's own user."""
    input_type: Literal["bytes", "strings"] = "bytes"
    """What the model's container is given: the JPEG, or its base64 text."""
    latency_slo: Annotated[Duration, Gt(0)] = 0.1
    """After so long a query is answered with the default, which counts as a failure; Clipper's own default."""
    num_replicas: Annotated[int, Ge(1), Le(64)] = 1
    """Containers of the model."""
    batch_size: Annotated[int, Ge(-1), Le(4096)] = -1
    """Queries in one batch at most; -1 lets Clipper find it."""
    cache_size: Annotated[int, "size", Ge(0)] = 0
    """Its prediction cache answers a repeated photo without the model; none here, where Clipper has 32 MiB."""
    http_threads: Annotated[int, Ge(1), Le(1024)] = 1
    """`qf_http_thread_pool_size`: threads of the query frontend."""

    @property
    def images(self) -> tuple[str, ...]:
        """The model's own, and what stands before it."""
        return (self.image, REDIS, MANAGEMENT, QUERY)

    @classmethod
    def here(cls) -> Missing | None:
        """An engine and Clipper's own images."""
        return super().here() or lacking_image(MANAGEMENT) or lacking_image(REDIS)

    @property
    def may_learn(self) -> bool:
        """It serves a model of its own, so its own first answers are what later ones are compared with."""
        return True

    def version(self, place: Place) -> str:
        """Clipper's version, and the model's image with its digest."""
        return f"Clipper {VERSION}, {super().version(place)}"

    def command(self, place: Place) -> Command:
        """`cluster.py` with a plan of every container and every call of the management API.

        Raises: LaunchError if no engine answers, or an image is not there.
        """
        group = docker.new_name()
        names = {part: f"{group}-{part}" for part in ("redis", "management", "query")}
        models = [f"{group}-model-{number}" for number in range(1, self.num_replicas + 1)]
        address = f"http://{place.host}:{place.ports[1]}/admin"
        ours = ["--redis_ip=127.0.0.1", f"--redis_port={_REDIS_PORT}"]
        query = [
            *(f"--prediction_cache_size={self.cache_size}", f"--thread_pool_size={self.http_threads}"),
            *("--timeout_request=5", "--timeout_content=300"),
        ]
        alone = replace(self.container(place, inside=(_QUERY_PORT, _MANAGEMENT_PORT)), image=REDIS)
        beside = replace(alone, beside=names["redis"])
        env = {
            "CLIPPER_MODEL_NAME": MODEL,
            "CLIPPER_MODEL_VERSION": MODEL_VERSION,
            "CLIPPER_IP": "127.0.0.1",
            "CLIPPER_INPUT_TYPE": self.input_type,
        }
        steps: list[dict[str, Any]] = [
            _run("redis", names["redis"], Command(("", "redis-server", "--port", str(_REDIS_PORT))), alone),
            _run("management frontend", names["management"], Command(("", *ours)), replace(beside, image=MANAGEMENT)),
            _run("query frontend", names["query"], Command(("", *ours, *query)), replace(beside, image=QUERY)),
            {"url": f"{address}/add_app", "body": self.application()},
            *(
                _run(f"model {name[-1]}", name, Command(("",), env), replace(beside, image=self.image))
                for name in models
            ),
            {"url": f"{address}/add_model", "body": self.registration()},
            {"url": f"{address}/add_model_links", "body": {"app_name": APPLICATION, "model_names": [MODEL]}},
        ]
        plan = place.folder / "plan.json"
        plan.write_text(json.dumps({"docker": docker.client(), "steps": steps}))
        together = docker.all_of([*names.values(), *models], group)
        return Command((sys.executable, "-I", "-S", str(_CLUSTER), str(plan)), cwd=place.folder, elsewhere=together)

    def application(self) -> dict[str, Any]:
        """The body of `add_app`."""
        return {
            "name": APPLICATION,
            "input_type": self.input_type,
            "default_output": "late",
            "latency_slo_micros": round(self.latency_slo * 1_000_000),
        }

    def registration(self) -> dict[str, Any]:
        """The body of `add_model`."""
        return {
            "model_name": MODEL,
            "model_version": MODEL_VERSION,
            "labels": [],
            "input_type": self.input_type,
            "container_name": self.image,
            "batch_size": self.batch_size,
        }

    def explain(self, log: str, exit_code: int | None) -> str | None:  # noqa: ARG002 -- its log tells enough
        """Which of its programs ended, or what the management API refused."""
        return next((line.strip() for line in log.splitlines() if line.startswith("clipper: ")), None)

    def wire(self, place: Place) -> ClipperApi:  # noqa: ARG002 -- its routes are fixed
        """Clipper's own JSON."""
        from .api import ClipperApi  # noqa: TID252

        return ClipperApi(APPLICATION)


def _run(name: str, container: str, command: Command, sees: docker.Container) -> dict[str, Any]:
    """One step of the plan that starts a container."""
    return {"name": name, "container": container, "argv": docker.contained(command, sees, container).argv}
