"""Which load workers drive a run: processes of this machine, workers that join from others, or just one process."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from bench.errors import UsageError
from bench.load.calibration import peak_rate
from bench.load.split import ASSUMED_CEILING, workers_needed, workers_wanted
from bench.profiles import Profile
from bench.serving.address import Address, parse_address

LISTEN_EXAMPLE = "for example --listen 192.168.1.5:5557, the address of this machine that the workers reach"


@dataclass(frozen=True, slots=True)
class Remote:
    """`count` workers of other machines, which join at `listen`."""

    listen: Address
    count: int


@dataclass(frozen=True, slots=True)
class Crew:
    """The processes that share each trial: `local` ones here, and those of other machines."""

    local: int = 1
    remote: Remote | None = None

    @property
    def alone(self) -> bool:
        """Whether one process drives everything by itself, without sockets."""
        return self.remote is None and self.local == 1

    @property
    def size(self) -> int:
        """How many processes there are."""
        return self.local + (self.remote.count if self.remote else 0)


ALONE = Crew()


def parse_listen(text: str) -> Address:
    """The address at which remote workers join, as a number.   Raises: UsageError if workers could not use it."""
    try:
        address = parse_address(text).resolved()
    except ValueError as failure:
        raise UsageError(str(failure), where="--listen", hint=LISTEN_EXAMPLE) from failure
    except OSError as failure:
        raise UsageError(
            f"unknown host in {text!r}: {failure.strerror}", where="--listen", hint=LISTEN_EXAMPLE
        ) from failure
    if ":" in address.host:
        raise UsageError("servers are started on IPv4 addresses only", where="--listen", hint=LISTEN_EXAMPLE)
    if ip_address(address.host).is_unspecified:
        raise UsageError(
            f"{address.host} stands for every address of this machine, and the servers have to listen on one",
            where="--listen",
            hint=LISTEN_EXAMPLE,
        )
    return address


def crew_for(workers: int | None, points: Iterable[Profile], *, cores: int, ceiling: float | None) -> tuple[Crew, str]:
    """The crew of this machine alone, the same for each trial of a run, and what is in doubt about it.

    `workers` is the scenario's key, None for `auto`: as many as the highest rate of any load point needs. A closed
    loop has no rate of its own and asks for no more than one. `ceiling` is the requests/s that one worker can make,
    None where that is not known.
    """
    if workers is not None:
        return Crew(workers), ""
    peak = max((peak_rate(point) or 0.0 for point in points), default=0.0)
    ceiling = ceiling or ASSUMED_CEILING
    wanted, chosen = workers_wanted(peak, ceiling), workers_needed(peak, ceiling, cores)
    if chosen == wanted:
        return Crew(chosen), ""
    return Crew(chosen), (
        f"the load reaches {peak:,.0f} requests/s, for which {wanted} load workers would be right, but there "
        f"is room for {chosen} on this machine; watch send_lag, or send from other machines too (bench worker)"
    )
