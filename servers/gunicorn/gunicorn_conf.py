"""What gunicorn does around the naive app: every reply tells which process gave it.

The stamp is put on here so that the app stays the one of the tutorials.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def post_worker_init(worker: Any) -> None:
    """Wrap the app of a worker that has just loaded it."""
    worker.wsgi = stamped(worker.wsgi, os.getpid())


def stamped(application: Application, pid: int) -> Application:
    """The application, with `X-Worker: pid` on each of its replies."""

    def stamp(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [*headers, ("X-Worker", str(pid))], *rest)

        return application(environ, start)

    return stamp
