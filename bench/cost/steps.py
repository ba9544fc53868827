"""Whole replicas and what they cost, as a staircase against the arrival rate; exact at every step.

The live controls of the report do the same arithmetic in JavaScript: numbers in, numbers out, no other module.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

SAME = 1e-9
"""Costs and rates that differ by less than this share are the same: 3 x 0.1 is 0.3."""
MOST_EDGES = 20_000
"""So many steps are looked at, all servers together, before the rest of the staircase is left unsaid."""
_EVEN_STEPS = 50
"""Where two servers cost the same in the long run, the staircase is looked at for so many steps of the larger one."""


@dataclass(frozen=True, slots=True)
class Option:
    """One way to serve: requests/s that one replica is given, and dollars per hour of one replica."""

    usable: float
    per_hour: float


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a staircase: at rates above `above` up to and including `up_to` (1/s), spares counted in."""

    above: float
    up_to: float
    replicas: int
    per_hour: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rates above `above` up to and including `up_to` (1/s; None: every rate beyond) where the same options cost least.

    `cheapest` are their places, several where they cost the same.
    """

    above: float
    up_to: float | None
    cheapest: tuple[int, ...]


def usable_rate(capacity: float | None, headroom: float) -> float | None:
    """Requests/s that one replica is given: its capacity less the headroom; None where nothing is left or known."""
    if capacity is None or not math.isfinite(capacity):
        return None
    usable = capacity * (1 - headroom)
    return usable if usable > 0 else None


def replicas_for(rate: float, usable: float) -> int:
    """The fewest whole replicas, one at least, whose usable rates together reach the rate; without spares.

    Raises: ValueError if no number of them can, or no rate is asked.
    """
    if not (usable > 0 and math.isfinite(rate) and rate > 0 and math.isfinite(rate / usable)):
        raise ValueError(f"no number of replicas of {usable}/s serves {rate}/s")
    count = max(1, math.ceil(rate / usable))
    while count * usable < rate:  # the division was rounded down to a whole number
        count += 1
    while count > 1 and (count - 1) * usable >= rate:  # or up, beyond one
        count -= 1
    return count


def per_hour_at(rate: float, option: Option, spare: int) -> float:
    """Dollars per hour for the replicas that a rate needs, spares included."""
    return (replicas_for(rate, option.usable) + spare) * option.per_hour


def per_million(per_hour: float, rate: float | None) -> float | None:
    """Dollars per million requests where `per_hour` dollars serve `rate` requests per second; None at no rate."""
    if rate is None or not math.isfinite(rate) or rate <= 0:
        return None
    return 1e6 * per_hour / (3600 * rate)


def stairs(option: Option, spare: int, up_to: float) -> tuple[Step, ...]:
    """The staircase of one option from 0 to a rate; its last step is cut off there."""
    count = replicas_for(up_to, option.usable)
    return tuple(
        Step((n - 1) * option.usable, min(n * option.usable, up_to), n + spare, (n + spare) * option.per_hour)
        for n in range(1, count + 1)
    )


def cheapest_by_rate(options: Sequence[Option], spare: int) -> tuple[Stretch, ...]:
    """Which options cost least at which rate, from 0 on; neighbours differ.

    The last stretch is open (`up_to` None) once the order can never change again; where it never settles, or only
    after more steps than are worth looking at, it ends where the looking ended. No options give no stretches.
    """
    if not options:
        return ()
    settled = _settled(options, spare)
    reach = settled[1] if settled else _EVEN_STEPS * max(option.usable for option in options)
    reach = min(reach, MOST_EDGES / sum(1 / option.usable for option in options))
    found: list[Stretch] = []
    above = 0.0
    for edge in _edges(options, reach):
        if edge - above <= SAME * edge:  # the same rate, reached by two servers with other roundings
            continue
        cheapest = cheapest_at(edge, options, spare)
        if found and found[-1].cheapest == cheapest:
            found[-1] = Stretch(found[-1].above, edge, cheapest)
        else:
            found.append(Stretch(above, edge, cheapest))
        above = edge
    if settled and reach == settled[1]:
        found = _continued(found, settled[0], above)
    return tuple(found)


def cheapest_at(rate: float, options: Sequence[Option], spare: int) -> tuple[int, ...]:
    """The places of the options that cost least at a rate."""
    costs = [per_hour_at(rate, option, spare) for option in options]
    least = min(costs)
    return tuple(place for place, cost in enumerate(costs) if cost <= least * (1 + SAME))


def _continued(found: Sequence[Stretch], winner: int, above: float) -> list[Stretch]:
    """The stretches with all rates beyond the last edge added, where one option costs least for good."""
    if found and found[-1].cheapest == (winner,):
        return [*found[:-1], Stretch(found[-1].above, None, (winner,))]
    return [*found, Stretch(above, None, (winner,))]


def _settled(options: Sequence[Option], spare: int) -> tuple[int, float] | None:
    """The option that costs least in the long run, and a rate beyond which it is alone in that; None if none is.

    Replicas of one option cost less than per_hour * (rate / usable + 1 + spare), of another per_hour *
    (rate / usable + spare) or more: where the two lines cross, the order is settled.
    """
    slopes = [option.per_hour / option.usable for option in options]
    winner = min(range(len(options)), key=lambda place: slopes[place])
    best, beyond = options[winner], 0.0
    for place, other in enumerate(options):
        if place == winner:
            continue
        gain = slopes[place] - slopes[winner]
        if gain <= SAME * slopes[place]:
            return None
        beyond = max(beyond, (best.per_hour * (1 + spare) - other.per_hour * spare) / gain)
    return winner, beyond


def _edges(options: Sequence[Option], reach: float) -> list[float]:
    """Every rate up to the first beyond `reach` of each option where one more replica is needed, ascending."""
    edges = {n * option.usable for option in options for n in range(1, max(1, math.ceil(reach / option.usable)) + 1)}
    last = max(edges)
    # All staircases must be known up to the last edge: what lies between two edges of one is flat only if the others
    # have no edge there.
    edges |= {
        n * option.usable
        for option in options
        for n in range(math.ceil(reach / option.usable) + 1, math.floor(last / option.usable) + 1)
    }
    return sorted(edges)
