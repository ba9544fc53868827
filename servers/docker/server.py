"""A Docker image of a person's own, with the same limits, loopback ports and end as every other server here."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le

from bench import server
from bench.credentials import filled, names_in
from bench.programs import docker
from bench.server import Command, Missing, Place
from bench.serving.imaged import ImageServer
from bench.serving.own import OwnServer
from bench.serving.placeholders import replaced, used, values_at
from bench.serving.refusing import Sent, check_arguments, check_target, lacking, refuse_secret
from bench.units import UnitError


@dataclass(frozen=True, kw_only=True)
class Server(ImageServer, OwnServer):
    """An image; its port inside is mapped to one on loopback."""

    title: ClassVar[str] = "a Docker image of your own"
    needs: ClassVar[str] = "a Docker engine and an image of your own"

    port: Annotated[int, Gt(0), Le(65535)] | None = None
    """Where it listens inside; without it `{port}` has to be in `run` or `env`."""
    run: str | tuple[str, ...] = ""
    """Arguments for the image's own program."""
    entrypoint: str = ""
    """Another program of the image in place of its own."""
    env: dict[str, str] = field(default_factory=dict)
    """Its environment; `${NAME}` is the value of a variable of the person's own. Nothing else is passed on."""
    model_form: server.ModelForm | None = None  # type: ignore[misc]  # of each server, where other kinds have one form
    """In which form `{model}` names the scenario's model, mounted read-only; `keras` where nothing is said."""
    ready: str = ""
    """A path that has to be answered with 2xx first."""
    workers: Annotated[int, Ge(1), Le(256)] = 1
    """Processes that answer, if each reply tells its own in a header `X-Worker`."""

    def __post_init__(self) -> None:
        """Refuse what `docker run` would refuse only at the start."""
        super().__post_init__()
        names = used((*self._arguments(), *self.env.values()))
        if self.port is None and "port" not in names:
            raise UnitError(
                "where does it listen? there is neither 'port' nor a {port} in 'run' or 'env'", "for example port: 8080"
            )
        if "model" in names and self.model_form is None:
            object.__setattr__(self, "model_form", "keras")
        if self.ready and (self.speaks_grpc or not self.ready.startswith("/")):
            raise UnitError("'ready' is a path of HTTP, such as /healthz", "leave it out for a server that speaks gRPC")
        check_target("'ready'", self.ready)
        check_arguments(self._arguments())
        for name, value in self.env.items():
            refuse_secret(f"the variable {name}", name, value)

    @property
    def ready_path(self) -> str:
        """Asked before anything real."""
        return self.ready

    @property
    def sent(self) -> Sent:
        """The path that tells of readiness too."""
        return {**super().sent, ("ready",): self.ready}

    def missing(self) -> Missing | None:
        """No engine, no image, or a variable that is not set."""
        return lacking((*self.env.values(), *self.sent.values())) or ImageServer.missing(self)

    def command(self, place: Place) -> Command:
        """`docker run`, which the image's program answers for."""
        values = values_at(place, self.model_form) | ({"port": str(self.port)} if self.port else {})
        values |= {"host": "0.0.0.0"}  # noqa: S104 -- inside; outside it is mapped to loopback alone
        env = {name: filled(replaced(value, values), to_send=False) for name, value in self.env.items()}
        arguments = [replaced(argument, values) for argument in self._arguments()]
        folders = {Path(values["model"]): False} if "model" in values else {}
        container = self.container(place, inside=(self.port,) if self.port else (), folders=folders)
        secrets = {name: env.pop(name) for name, value in self.env.items() if names_in([value])}
        return docker.contained(Command((self.entrypoint, *arguments), env), container, secrets=secrets)

    def _arguments(self) -> tuple[str, ...]:
        try:
            return tuple(shlex.split(self.run)) if isinstance(self.run, str) else self.run
        except ValueError as failure:
            raise UnitError(f"'run' cannot be taken apart: {failure}", "a quotation mark is missing") from failure
