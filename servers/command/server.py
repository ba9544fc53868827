"""Any program of a person's own: a command line, the API that it speaks, and the same watch over it as over ours."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from annotated_types import Ge, Le

from bench import server
from bench.credentials import filled
from bench.server import Command, Missing, Place
from bench.serving.own import OwnServer
from bench.serving.placeholders import replaced, used, values_at
from bench.serving.refusing import Sent, check_arguments, check_target, lacking, refuse_secret
from bench.units import UnitError


@dataclass(frozen=True, kw_only=True)
class Server(OwnServer):
    """A command line with `{port}` in it; no shell reads it."""

    title: ClassVar[str] = "any program of your own: a command line with {port}"
    needs: ClassVar[str] = "a command line of your own"

    run: str | tuple[str, ...]
    """The command line, as one text or as a list of arguments."""
    model_form: server.ModelForm | None = None  # type: ignore[misc]  # of each server, where other kinds have one form
    """In which form `{model}` names the scenario's model; `keras` where nothing is said."""
    cwd: Annotated[str, "path"] = "."
    """Working folder; by default that of the scenario."""
    env: dict[str, str] = field(default_factory=dict)
    """Additions to the environment; `${NAME}` is the value of a variable of the person's own."""
    ready: str = ""
    """A path that has to be answered with 2xx first; the first right answer is waited for in any case."""
    workers: Annotated[int, Ge(1), Le(256)] = 1
    """Processes that answer, if each reply tells its own in a header `X-Worker`."""

    def __post_init__(self) -> None:
        """Refuse a command line without a port, and placeholders that there are not."""
        super().__post_init__()
        texts = (*self._arguments(), *self.env.values())
        names = used(texts)
        if not self._arguments():
            raise UnitError("'run' is empty", "for example run: python app.py --port {port}")
        if "port" not in names:
            raise UnitError(
                "nowhere in 'run' or 'env' is {port}, and the port is chosen anew at every start",
                "for example run: python app.py --port {port}, or env: {PORT: '{port}'}",
            )
        if "model" in names and self.model_form is None:
            object.__setattr__(self, "model_form", "keras")
        if "model" not in names and self.model_form is not None:
            raise UnitError("'model_form' says how {model} is meant, and nothing names {model}", "leave it out")
        if self.ready and (self.speaks_grpc or not self.ready.startswith("/")):
            raise UnitError("'ready' is a path of HTTP, such as /healthz", "leave it out for a server that speaks gRPC")
        check_target("'ready'", self.ready)
        check_arguments(self._arguments())
        for name, value in self.env.items():
            refuse_secret(f"the variable {name}", name, value)

    def _arguments(self) -> tuple[str, ...]:
        if not isinstance(self.run, str):
            return self.run
        try:
            return tuple(shlex.split(self.run))
        except ValueError as failure:
            raise UnitError(f"'run' cannot be taken apart: {failure}", "a quotation mark is missing") from failure

    @property
    def ready_path(self) -> str:
        """Asked before anything real."""
        return self.ready

    @property
    def sent(self) -> Sent:
        """The path that tells of readiness too."""
        return {**super().sent, ("ready",): self.ready}

    def missing(self) -> Missing | None:
        """A program that is not there, or a variable that is not set."""
        program = self._arguments()[0]
        found = shutil.which(self._beside(program)) if "{" not in program else program
        if found is None:
            return Missing(f"no such program: {program}", "install it, or write its whole path into 'run'")
        return lacking((*self.env.values(), *self.sent.values()))

    def command(self, place: Place) -> Command:
        """The command line, placeholders and variables filled in."""
        values = values_at(place, self.model_form)
        program, *rest = (replaced(argument, values) for argument in self._arguments())
        env = {name: filled(replaced(value, values), to_send=False) for name, value in self.env.items()}
        return Command((self._beside(program), *rest), env, cwd=Path(self.cwd))

    def _beside(self, program: str) -> str:
        """A program with a folder in its name lies below the working folder; others are looked for on PATH."""
        return str(Path(self.cwd).absolute() / program) if "/" in program else program
