"""The seam that a folder in `servers/` fills: what the harness asks of one way of serving.

A kind is a folder that holds `server.py` with a frozen dataclass `Server(bench.server.Server)`. Its fields
are its keys in a scenario, ranges written with annotated_types; what it needs to know of the place where
it is started comes in as a `Place`. This module starts nothing: `launch.py` does.
"""

from __future__ import annotations

import importlib.util
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge

from bench.errors import LaunchError, ServerFolderError
from bench.rungs import Rung

if TYPE_CHECKING:  # numpy and the model are not needed to list or check servers
    from bench.model.files import ModelFiles
    from bench.payload.signature import Signature
    from bench.protocols import Answer, Wire
    from bench.swap import Swap

ModelForm = Literal[
    "h5",
    "keras",
    "saved_model",
    "frozen",
    "keras_pruned",
    "onnx",
    "onnx_int8",
    "onnx_pruned",
    "openvino",
    "openvino_int8",
    "litert",
    "litert_dynamic",
    "litert_int8",
]

Duration = Annotated[float, "duration", Ge(0)]
"""A key of a kind that is float seconds here and written with a unit in a scenario: `5ms`."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a server cannot run on this machine, and the command that would change that."""

    reason: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One of a kind's keys, as a path of names, that means nothing on this machine, why, and what to write instead."""

    keys: tuple[str, ...]
    what: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One way in which a kind can come by its program: whether it is open here, what was found, what opens it."""

    name: str
    ok: bool
    text: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """What `bench install` is to fetch, and from where; None leaves it to the kind.

    `timeout` is how many seconds to wait for an answer, or for the next bytes of one.
    """

    version: str | None = None
    repository: str | None = None
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where one server is started; everything in it was decided by the harness.

    `ports` are free loopback ports, as many as the class asks for with `port_count`; `folder` is an empty
    scratch folder of this start (configuration, model repository, sockets); `python` is the interpreter of
    the server's own environment, or the harness's where it has none; `cores` is its core budget, how many threads can
    compute at once; `in_flight` is the most requests that the load points can have under way at once, 0 where nobody
    knows. `cpuset` holds the numbers of its cores: the program is pinned to them, so only what runs elsewhere, such as
    in a container, has to be told; empty where it is not pinned. `swaps` tells that a new version of the model is going
    to take the place of this one while it runs.
    """

    host: str
    ports: tuple[int, ...]
    model: ModelFiles | None
    folder: Path
    python: Path
    cores: int
    in_flight: int = 0
    cpuset: tuple[int, ...] = ()
    swaps: bool = False

    @property
    def port(self) -> int:
        """The first port, the one that the load goes to unless the server says otherwise."""
        return self.ports[0]


@dataclass(frozen=True, slots=True)
class Computing:
    """What can compute at the same time: `processes` that each do it with `threads`."""

    processes: int
    threads: int


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Two commands for a program that only stands for what serves, such as `docker run` for a container.

    `end` ends what serves, and is run whatever becomes of the harness; `find` prints the id of its first process, whose
    last argument is the program's, or that id and the container's, which its control group then names: a line for
    each container.
    """

    end: tuple[str, ...]
    find: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a server already runs, which is then neither started nor ended here; `tls` for HTTPS.

    `headers` are the names of those that each request carries, for whoever has to find out why it was refused.
    """

    host: str
    port: int
    tls: bool = False
    headers: tuple[str, ...] = ()
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Where it is, without a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}.get(self.scheme)
        return f"{self.scheme}://{host}" if self.port == usual else f"{self.scheme}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Command:
    """One program to start: argument list, additions to the environment, working folder, what it only stands for."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    elsewhere: Elsewhere | None = None


@dataclass(frozen=True, kw_only=True)
class Server(ABC):
    """One way of serving a model, as a scenario configured it."""

    title: ClassVar[str]
    """One line for `bench list servers`."""
    model_form: ClassVar[ModelForm | None] = None
    """Which file of the model it serves; None for a server that runs no model."""
    requirements: ClassVar[str | None] = None
    """File beside server.py with pinned packages for an environment of its own; None: the harness's own."""
    needs: ClassVar[str] = ""
    """What it takes beside bench itself, for `bench list servers`; empty: `requirements`, or nothing."""
    port_count: ClassVar[int] = 1
    start_timeout_s: ClassVar[float] = 120.0

    def missing(self) -> Missing | None:
        """What keeps it from running on this machine; None if it can run.  Must be quick and change nothing."""
        return None

    def mistakes(self) -> tuple[Mistake, ...]:
        """What is wrong with its keys as only this machine can tell, such as a variable whose value cannot be sent.

        Where `missing` skips a server, each of these is an error of the scenario. As quick, and changes as little.
        """
        return ()

    @classmethod
    def here(cls) -> Missing | None:
        """What keeps the kind, whatever its keys, from running on this machine; None if nothing does."""
        try:
            server = cls()
        except TypeError:  # it has keys that only a scenario can give
            return None
        return server.missing()

    def prepare(self, say: Callable[[str], None]) -> None:  # noqa: B027 -- few kinds have anything to do
        """Get what it needs before anything is measured, such as an image.   Raises: ArtifactError."""

    def sources(self) -> tuple[Source, ...]:
        """Where its program can come from, the first that is open being used; none if it comes with bench.

        As quick as `missing`, and changing as little.
        """
        return ()

    @classmethod
    def install(cls, order: Order, say: Callable[[str], None]) -> Path | None:  # noqa: ARG003 -- few kinds can
        """Fetch its program into the cache, once; where it lies, or None for a kind that has nothing to fetch.

        Raises: ArtifactError.
        """
        return None

    @property
    def standing(self) -> Standing | None:
        """Where it already runs, if it is not to be started; `command` is then never asked for."""
        return None

    def cores_wanted(self, budget: tuple[int, ...], usable: tuple[int, ...]) -> tuple[int, ...]:  # noqa: ARG002
        """The cores it is kept to: the budget of every server, unless its very purpose is to be given more.

        Raises: ArtifactError if this machine has not so many.
        """
        return budget

    @property
    def judged_by_model(self) -> bool:
        """Whether its answers are compared with those of the scenario's model."""
        return self.model_form is not None

    @property
    def other_work(self) -> str:
        """How its model differs on purpose from the reference: `int8 weights`; empty where it has to answer the same.

        Its answers may then differ by more than rounding, and are judged by the scenario's `accuracy` if it has one.
        """
        return ""

    @property
    def rung(self) -> Rung:
        """On which rung of the usual advice it stands, for the ladder of a report; empty for none."""
        return ""

    @property
    def may_learn(self) -> bool:
        """Whether, where nothing else tells the right answers, its own first ones may: they then have to stay so."""
        return False

    @property
    def ready_path(self) -> str:
        """A path that has to be answered with 2xx before it is asked anything real; empty for none."""
        return ""

    @property
    def workers(self) -> int | None:
        """How many processes answer requests; None for one on each core of the budget."""
        return 1

    def workers_at(self, place: Place) -> int:
        """How many processes answer; each must be seen answering, by its `X-Worker` header, before load."""
        return place.cores if self.workers is None else self.workers

    def computing(self, place: Place) -> Computing:
        """How many processes compute, and with how many threads each: the budget shared out among its workers.

        The variables that libraries take their number of threads from are set accordingly before it starts.
        """
        workers = self.workers_at(place)
        return Computing(workers, max(1, place.cores // workers))

    @property
    def start_timeout(self) -> float:
        """Seconds that a start may take until the first answer; a scenario's `start_timeout` goes before it."""
        return self.start_timeout_s

    @property
    def needs_images(self) -> bool:
        """Whether its requests carry pixels: the photos are then decoded once, and found in `place.model.images`."""
        return False

    def litter(self, place: Place) -> tuple[str, ...]:  # noqa: ARG002 -- only some kinds leave any
        """Glob patterns of files it may leave when it dies, such as shared memory; removed after it ended."""
        return ()

    @property
    def load_port(self) -> int:
        """Index into `place.ports` of the port that the load goes to."""
        return 0

    def socket(self, place: Place) -> Path | None:  # noqa: ARG002 -- few kinds have one
        """The UNIX socket that the load goes to; None: the load goes to `load_port`."""
        return None

    def version(self, place: Place) -> str:  # noqa: ARG002 -- kinds that can tell use it
        """What really ran, for the record; empty where nothing better than the pinned requirements is known."""
        return ""

    def cannot_take(self, signature: Signature | None) -> str:  # noqa: ARG002 -- kinds that take tensors use it
        """Why it cannot be asked with tensors of this signature, in a clause; empty if it can.

        None where the signature is not known yet. With tensors `place.model` has a signature, `wire` has to speak it,
        and what its requests are made of are packed tensors instead of a photo (`bench.payload.tensors.unpacked`).
        """
        return "it takes photos only, and the payload is tensors"

    def expected(self, photo: bytes) -> Answer | None:  # noqa: ARG002 -- only servers without a model know better
        """The right answer for a photo where no model gives it; None: the model's reference decides."""
        return None

    def explain(self, log: str, exit_code: int | None) -> str | None:  # noqa: ARG002 -- kinds that can tell do
        """What a person needs to know about a failure that its log tells of, in a sentence; None if it tells none.

        `log` is its own words since it was started. Without an exit code it still runs, and a sentence means that it
        will never serve as it was asked to, so that nobody waits for it.
        """
        return None

    def counters(self, place: Place) -> Mapping[str, float]:  # noqa: ARG002 -- kinds that count do
        """What it counted inside itself since it was started, each name with its unit; empty if it does not tell.

        Read before and after a trial; the differences are kept. `NAME_seconds` or `NAME_rows` are sums, and
        `NAME_count` says over how many, for `NAME` one of request, run, queue, batch, padding, or one of its own.
        """
        return {}

    def startup_parts(self, log: str) -> Mapping[str, float]:  # noqa: ARG002 -- kinds that can tell do
        """Seconds of its start by what it did, such as `load` and `warmup`, as its log tells; empty if it does not."""
        return {}

    def stage(self, log: str) -> str:  # noqa: ARG002 -- kinds that can tell do
        """How far its start has come, by its log: `loading the model`; empty if nobody knows."""
        return ""

    def cannot_swap(self) -> str:
        """Why a new version of its model cannot take over while it runs, in a clause; empty if it can."""
        return "it has no way to exchange its model while it runs"

    def swap(self, place: Place) -> Swap:  # noqa: ARG002 -- kinds that can do it use it
        """How a new version of its model takes over; asked only where `cannot_swap` is empty.   Raises: LaunchError."""
        raise LaunchError(self.cannot_swap())

    def error_kind(self, error: str) -> str:
        """What a failed request counts as, by what came back: `HTTP 503`, `gRPC UNAVAILABLE: ...`; as it is by default.

        For kinds whose errors have several meanings under one code, or numbers in them that tell them apart in vain.
        """
        return error

    @abstractmethod
    def command(self, place: Place) -> Command:
        """The program that serves; may first write files into `place.folder`."""

    @abstractmethod
    def wire(self, place: Place) -> Wire:
        """How requests to this server look and its answers read."""


@dataclass(frozen=True, slots=True)
class Inner:
    """A kind that another one is made of, as a scenario configured it."""

    kind: str
    folder: Path
    server: Server


def kind_folders() -> tuple[Path, ...]:
    """The folders that hold the kinds which come with bench: beside the package, or shipped inside it."""
    package = Path(__file__).resolve().parent
    return tuple(folder for folder in (package.parent / "servers", package / "shipped" / "servers") if folder.is_dir())


def known_kinds() -> dict[str, Path]:
    """Name -> folder of every kind that comes with bench."""
    found: dict[str, Path] = {}
    for parent in kind_folders():
        for folder in sorted(parent.iterdir()):
            if (folder / "server.py").is_file():
                found.setdefault(folder.name, folder)
    return found


def find_kind(kind: str, beside: Path) -> Path:
    """Folder of a kind: a name that comes with bench, or a path (relative to the scenario's folder).

    Raises: ServerFolderError if there is no such folder or it holds no server.py.
    """
    known = known_kinds()
    if kind in known:
        return known[kind]
    if "/" in kind or kind.startswith("."):
        folder = (beside / Path(kind).expanduser()).resolve()
        if (folder / "server.py").is_file():
            return folder
        raise ServerFolderError(
            f"no server.py in {folder}", hint="a kind is a folder that holds server.py; copy servers/echo to begin"
        )
    raise ServerFolderError(f"unknown server kind {kind!r}", hint=f"known kinds: {', '.join(known)}")


def load_kind(folder: Path) -> type[Server]:
    """The class `Server` of a kind's folder.

    Raises: ServerFolderError if server.py cannot be imported or does not define it.
    """
    path = folder / "server.py"
    name = f"bench_kind_{folder.name}_{abs(hash(str(folder)))}"
    if name in sys.modules:
        return sys.modules[name].Server  # type: ignore[no-any-return]
    # as a package, so that server.py can be spread over modules beside it: from .batching import Batching
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=[str(folder)])
    if spec is None or spec.loader is None:
        raise ServerFolderError("cannot be imported", where=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while the class is being made
    try:
        spec.loader.exec_module(module)
    except Exception as failure:
        del sys.modules[name]
        raise ServerFolderError(f"cannot be imported: {failure!r}", where=str(path)) from failure
    server = getattr(module, "Server", None)
    if not (isinstance(server, type) and issubclass(server, Server) and is_dataclass(server)):
        del sys.modules[name]
        raise ServerFolderError(
            "defines no dataclass `Server(bench.server.Server)`",
            where=str(path),
            hint="see servers/echo/server.py for the smallest one",
        )
    return server
