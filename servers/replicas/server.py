"""N copies of any other kind behind nginx: scaling by adding instances, on one core budget or on N of them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from bench import server
from bench.errors import ArtifactError, LaunchError
from bench.rungs import Rung, higher
from bench.scenario.budget import thread_environment
from bench.server import Command, Computing, Inner, Missing, Mistake, Place, known_kinds, load_kind
from bench.units import UnitError

from . import nginx  # noqa: TID252 -- a kind's folder is a package of its own
from .supervise import ENDED  # noqa: TID252

if TYPE_CHECKING:
    from bench.payload.signature import Signature
    from bench.protocols import Answer, Wire

SUPERVISE = Path(__file__).resolve().with_name("supervise.py")


def _usual() -> Inner:
    """What is copied where nothing is said: gunicorn with one worker, so that only the number of copies changes."""
    folder = known_kinds()["gunicorn"]
    kind: Any = load_kind(folder)
    return Inner("gunicorn", folder, kind(workers=1))


@dataclass(frozen=True, kw_only=True)
class Server(server.Server):
    """Copies that share nothing but the machine, and a balancer that picks the one with the fewest requests."""

    title: ClassVar[str] = "N copies of any other kind behind nginx"
    needs: ClassVar[str] = "nginx, and what the copied kind needs"

    replicas: Annotated[int, Ge(1), Le(64)] = 2
    """How many copies."""
    of: Annotated[Inner | None, "kind"] = None
    """Kind and keys of each copy."""
    cores: Literal["same", "each"] = "same"
    """`same`: all copies together get the cores of one server; `each`: every copy gets as many, cores of its own."""

    def __post_init__(self) -> None:
        """What depends on the kind that is copied."""
        inner = self.of or _usual()
        if inner.server.standing is not None:
            raise UnitError("a URL is not started here, so there can be no copies of it", "name another kind in 'of'")
        if inner.kind == "docker":
            raise UnitError("containers cannot be copied", "run the same program without a container in 'of'")
        if isinstance(inner.server, Server):
            raise UnitError("copies of copies", "name the kind that is to be copied in 'of'")
        derived: Mapping[str, object] = {
            "of": inner,
            "model_form": inner.server.model_form,
            "requirements": None if inner.server.requirements is None else _requirements(inner),
            "port_count": 1 + self.replicas * inner.server.port_count,
            "start_timeout_s": inner.server.start_timeout_s,
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @property
    def _one(self) -> server.Server:
        assert self.of is not None
        return self.of.server

    @property
    def _grpc(self) -> bool:
        return "grpc" in str(getattr(self._one, "protocol", ""))

    def missing(self) -> Missing | None:
        """No nginx, or what the copied kind lacks."""
        if nginx.program() is None:
            return Missing("nginx is not on PATH", nginx.INSTALL)
        return self._one.missing()

    def mistakes(self) -> tuple[Mistake, ...]:
        """Those of the copied kind's keys."""
        return tuple(replace(each, keys=("of", *each.keys)) for each in self._one.mistakes())

    def cannot_take(self, signature: Signature | None) -> str:
        """What the copied kind cannot be asked with."""
        return self._one.cannot_take(signature)

    def prepare(self, say: Callable[[str], None]) -> None:
        """What the copied kind needs."""
        self._one.prepare(say)

    def cores_wanted(self, budget: tuple[int, ...], usable: tuple[int, ...]) -> tuple[int, ...]:
        """One budget, or one for each copy.   Raises: ArtifactError if this machine has not so many cores."""
        if self.cores == "same":
            return budget
        wanted = self.replicas * len(budget)
        if wanted > len(usable):
            each = f"{len(budget)} core{'s' * (len(budget) > 1)} each"
            raise ArtifactError(
                f"{self.replicas} copies with {each} need {wanted}, and this machine has {len(usable)}",
                hint="lower the scenario's 'cores', or say 'cores: same'",
            )
        return (*budget, *(core for core in usable if core not in budget))[:wanted]

    @property
    def workers(self) -> int:
        """Those of all copies; gRPC does not tell them apart."""
        return 1 if self._grpc else self.replicas * (self._one.workers or 1)

    def workers_at(self, place: Place) -> int:
        """The same, where it depends on a copy's cores."""
        return 1 if self._grpc else self.replicas * self._one.workers_at(self.copies(place)[0])

    def computing(self, place: Place) -> Computing:
        """What each copy computes with, N times."""
        one = self._one.computing(self.copies(place)[0])
        return Computing(self.replicas * one.processes, one.threads)

    @property
    def needs_images(self) -> bool:
        """Whether the copied kind's requests carry pixels."""
        return self._one.needs_images

    @property
    def judged_by_model(self) -> bool:
        """As the copied kind is."""
        return self._one.judged_by_model

    @property
    def other_work(self) -> str:
        """As the copied kind does."""
        return self._one.other_work

    @property
    def may_learn(self) -> bool:
        """As the copied kind may."""
        return self._one.may_learn

    @property
    def ready_path(self) -> str:
        """Asked through nginx."""
        return self._one.ready_path

    def expected(self, photo: bytes) -> Answer | None:
        """What one copy answers."""
        return self._one.expected(photo)

    def litter(self, place: Place) -> tuple[str, ...]:
        """What any copy may leave."""
        return tuple(pattern for copy in self.copies(place) for pattern in self._one.litter(copy))

    def version(self, place: Place) -> str:
        """The copied kind's, and nginx's."""
        return f"{self.replicas} x {self._one.version(self.copies(place)[0]) or self.kind}, {nginx.version()}"

    @property
    def kind(self) -> str:
        """Which kind is copied."""
        assert self.of is not None
        return self.of.kind

    def explain(self, log: str, exit_code: int | None) -> str | None:
        """The copy that ended, or what the copied kind makes of the log."""
        said = [line.removeprefix(ENDED) for line in log.splitlines() if line.startswith(ENDED)]
        inner = self._one.explain(log, exit_code)
        return ": ".join([*said[-1:], *([inner] if inner else [])]) or None

    def stage(self, log: str) -> str:
        """As the copied kind tells it."""
        return self._one.stage(log)

    def counters(self, place: Place) -> Mapping[str, float]:
        """Sums over the copies."""
        counted = [self._one.counters(copy) for copy in self.copies(place)]
        return {name: sum(each.get(name, 0.0) for each in counted) for name in counted[0]}

    def wire(self, place: Place) -> Wire:
        """The copied kind's."""
        return self._one.wire(self.copies(place)[0])

    def copies(self, place: Place) -> tuple[Place, ...]:
        """A place for each copy: its ports, folder and share of the cores."""
        count = self._one.port_count
        each = self.cores == "each"
        width = len(place.cpuset) // self.replicas
        return tuple(
            replace(
                place,
                host="127.0.0.1",
                ports=place.ports[1 + index * count : 1 + (index + 1) * count],
                folder=place.folder / f"copy-{index + 1}",
                cores=place.cores if each else max(1, place.cores // self.replicas),
                cpuset=place.cpuset[index * width : (index + 1) * width] if each else place.cpuset,
                in_flight=-(-place.in_flight // self.replicas),
            )
            for index in range(self.replicas)
        )

    @property
    def rung(self) -> Rung:
        """That of its copies, unless there are several of them and no GPU."""
        return self._one.rung if self.replicas == 1 else higher("more instances", self._one.rung)

    def command(self, place: Place) -> Command:
        """`supervise.py` with a plan of every program, in the place's folder."""
        copies: list[dict[str, Any]] = []
        for number, copy in enumerate(self.copies(place), start=1):
            copy.folder.mkdir()
            made = self._one.command(copy)
            if made.elsewhere is not None:
                raise LaunchError(
                    "containers cannot be copied", hint="run the same program without a container in 'of'"
                )
            socket = self._one.socket(copy)
            port = copy.ports[self._one.load_port]
            copies.append(
                {
                    "name": f"copy {number} of {self.replicas} (port {port})",
                    "argv": made.argv,
                    "env": {**thread_environment(copy.cores), **made.env},
                    "cwd": str(made.cwd or copy.folder),
                    "cores": copy.cpuset if self.cores == "each" else (),
                    "address": f"{copy.host}:{port}" if socket is None else f"unix:{socket}",
                }
            )
        return Command((sys.executable, "-I", str(SUPERVISE), str(self._plan(place, copies))), cwd=place.folder)

    def _plan(self, place: Place, copies: list[dict[str, Any]]) -> Path:
        if os.geteuid() == 0:  # nginx then answers as another user, who has to find its folders
            place.folder.chmod(0o711)
        addresses = [str(copy["address"]) for copy in copies]
        conf = place.folder / "nginx.conf"
        conf.write_text(nginx.config(place.folder, place.host, place.port, addresses, grpc=self._grpc))
        argv = (nginx.program() or "nginx", "-e", "stderr", "-p", str(place.folder), "-c", str(conf))
        balancer = {"name": "nginx", "argv": argv, "env": {}, "cwd": str(place.folder), "cores": ()}
        plan = place.folder / "plan.json"
        plan.write_text(json.dumps({"copies": copies, "nginx": balancer}))
        return plan


def _requirements(inner: Inner) -> str:
    return str(inner.folder / str(inner.server.requirements))
