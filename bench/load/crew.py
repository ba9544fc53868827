"""Which load workers drive a run: processes of this machine, workers that join from others, or just one process."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from bench.calibration import peak_rate
from bench.errors import UsageError
from bench.load.address import Address, parse_address
from bench.load.split import ASSUMED_CEILING, workers_needed, workers_wanted
from bench.profiles import Profile

LISTEN_EXAMPLE = "for example --listen 192.168.1.5:5557, the address of this machine that the workers reach"


@dataclass(frozen=True, slots=True)
class Crew:
    """`local` processes here and `remote` ones that join at `listen`, which is None if there are none."""

    local: int = 1
    remote: int = 0
    listen: Address | None = None

    @property
    def alone(self) -> bool:
        """Whether one process drives everything by itself, without sockets."""
        return self.listen is None and self.local == 1

    @property
    def size(self) -> int:
        """How many processes share a trial."""
        return self.local + self.remote


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
    if ip_address(address.host.partition("%")[0]).is_unspecified:
        raise UsageError(
            f"{address.host} stands for every address of this machine, and the servers have to listen on one",
            where="--listen",
            hint=LISTEN_EXAMPLE,
        )
    return address


def crew_for(
    workers: int | None,
    points: Iterable[Profile],
    *,
    cores: int,
    ceiling: float | None = None,
    listen: Address | None = None,
    remote: int = 0,
) -> tuple[Crew, str]:
    """The crew of a run, the same for each of its trials, and what is in doubt about it.

    `workers` is the scenario's key, None for `auto`: as many as the highest rate of any load point needs, or none
    here if workers of other machines do the work. A closed loop has no rate of its own and asks for no more than one.
    `ceiling` is the requests/s that one worker can make, None where that is not known.
    """
    if listen is not None:
        return Crew(workers or 0, remote, listen), ""
    if workers is not None:
        return Crew(workers), ""
    peak = max((peak_rate(point) or 0.0 for point in points), default=0.0)
    ceiling = ceiling or ASSUMED_CEILING
    wanted, chosen = workers_wanted(peak, ceiling), workers_needed(peak, ceiling, cores)
    doubt = ""
    if chosen < wanted:
        doubt = (
            f"the load reaches {peak:,.0f} requests/s, for which {wanted} load workers would be right, but "
            f"{cores} cores leave room for {chosen}; watch send_lag, or add workers of other machines (bench worker)"
        )
    return Crew(chosen), doubt
