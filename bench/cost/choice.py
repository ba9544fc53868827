"""Which server costs least for a traffic, and how far an assumption must move until another one does.

Every figure is the exact place where the staircases change order, not an estimate of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench import units
from bench.cost.steps import SAME, Option, Stretch, cheapest_by_rate, replicas_for, usable_rate
from bench.cost.traffic import Traffic

_MOST_HEADROOM = 0.9
_MOST_SPARES = 10


@dataclass(frozen=True, slots=True)
class Contender:
    """A server that can be chosen: what one replica serves within the SLO, at least and at most, and what it costs.

    `capacity` is the lower end (1/s), `high` the upper one, None where it is not known; `per_hour` is dollars of one
    replica, `other_prices` the same by another name (`spot`, `reserved`).
    """

    name: str
    capacity: float
    per_hour: float
    high: float | None = None
    other_prices: Mapping[str, float] = field(default_factory=dict)
    tail: float = math.inf
    """The SLO's percentile of response time (s), which decides where cost and capacity are the same."""

    def option(self, headroom: float) -> Option | None:
        """What the staircase is computed from; None if the headroom leaves nothing."""
        usable = usable_rate(self.capacity, headroom)
        return None if usable is None else Option(usable, self.per_hour)


@dataclass(frozen=True, slots=True)
class Flip:
    """One assumption that, moved from `now` beyond `needed`, makes `to` the cheapest; the text says it."""

    assumption: str
    now: float | None
    needed: float
    to: str
    text: str
    likely: bool = False
    """Whether that lies within what the measurement itself leaves open."""


def cost(contender: Contender, traffic: Traffic) -> float:
    """Dollars per hour for the traffic, spares included; per request per second where no traffic is stated.

    inf where no number of replicas, or more than may be run, would serve it.
    """
    option = contender.option(traffic.headroom)
    if option is None:
        return math.inf
    if traffic.rate is None:
        return option.per_hour / option.usable
    count = replicas_in_all(contender.capacity, traffic)
    return math.inf if count is None else count * contender.per_hour


def replicas_in_all(capacity: float | None, traffic: Traffic) -> int | None:
    """Replicas for the traffic with its headroom, spares included; None without traffic, or above the most allowed."""
    usable = usable_rate(capacity, traffic.headroom)
    if usable is None or traffic.rate is None or traffic.rate / usable > traffic.most_replicas:
        return None
    count = replicas_for(traffic.rate, usable) + traffic.spare_replicas
    return count if count <= traffic.most_replicas else None


def cheapest(contenders: Sequence[Contender], traffic: Traffic) -> int | None:
    """The place of the one that costs least; of several, the one with the highest capacity, then the lowest tail."""
    costs = [cost(contender, traffic) for contender in contenders]
    least = min(costs, default=math.inf)
    if not math.isfinite(least):
        return None
    same = [place for place, each in enumerate(costs) if each <= least * (1 + SAME)]
    return max(same, key=lambda place: (contenders[place].capacity, -contenders[place].tail, -place))


def stretches(contenders: Sequence[Contender], traffic: Traffic) -> tuple[Stretch, ...]:
    """Which of the contenders cost least at which rate, with the headroom and the spares of the traffic."""
    options = [contender.option(traffic.headroom) for contender in contenders]
    return cheapest_by_rate([option for option in options if option is not None], traffic.spare_replicas)


def flips(contenders: Sequence[Contender], traffic: Traffic) -> tuple[Flip, ...]:
    """How far each assumption must move until another server costs less; an assumption that never does is left out."""
    chosen = cheapest(contenders, traffic)
    if chosen is None or len(contenders) < 2:
        return ()
    found = [_price_flip(contenders, chosen, traffic), *_capacity_flips(contenders, chosen, traffic)]
    if traffic.rate is not None:
        found += [*_rate_flips(contenders, chosen, traffic), _spare_flip(contenders, chosen, traffic)]
    found += _price_kind_flips(contenders, chosen, traffic)
    return tuple(flip for flip in found if flip is not None)


def _rivals(contenders: Sequence[Contender], chosen: int) -> list[Contender]:
    return [contender for place, contender in enumerate(contenders) if place != chosen]


def _price_flip(contenders: Sequence[Contender], chosen: int, traffic: Traffic) -> Flip | None:
    """The share by which the chosen may get dearer; replicas do not depend on prices, so costs move in proportion."""
    winner = contenders[chosen]
    rival = min(_rivals(contenders, chosen), key=lambda other: cost(other, traffic))
    ours, theirs = cost(winner, traffic), cost(rival, traffic)
    if not math.isfinite(theirs):
        return None
    if theirs <= ours * (1 + SAME):
        text = f"if {winner.name} got any dearer: both cost the same now"
        return Flip("price", winner.per_hour, winner.per_hour, rival.name, text)
    up, down = theirs / ours - 1, 1 - ours / theirs
    text = (
        f"at {units.dollars_text(rival.per_hour * (1 - down))}/h or less, {units.percent_text(down)} below its "
        f"{units.dollars_text(rival.per_hour)}/h, or if {winner.name} got more than {units.percent_text(up)} dearer"
    )
    return Flip("price", winner.per_hour, winner.per_hour * (1 + up), rival.name, text)


def _rate_flips(contenders: Sequence[Contender], chosen: int, traffic: Traffic) -> list[Flip]:
    """The nearest rates below and above the traffic, and the headroom, at which another one costs less.

    A headroom h asks of the replicas what rate / (1 - h) would ask without: one walk along the staircase answers both.
    """
    assert traffic.rate is not None
    found = []
    below, flip_above = _ends(stretches(contenders, traffic), chosen, traffic.rate)
    above = _limited(contenders, chosen, traffic, flip_above)
    why = "" if above == flip_above else f", more than {traffic.most_replicas:,} replicas of {contenders[chosen].name}"
    for edge, words in ((below, "of {} or less"), (above, "above {}")):
        if edge is not None:
            rate, to = edge[0], contenders[edge[1]].name
            text = f"with traffic {words.format(_rate(rate))} (now {_rate(traffic.rate)}{why if edge == above else ''})"
            found.append(Flip("traffic", traffic.rate, rate, to, text))
    bare = replace(traffic, headroom=0.0)
    down, up = _ends(stretches(contenders, bare), chosen, traffic.rate / (1 - traffic.headroom))
    for edge, words in ((down, "of {} or less"), (up, "above {}")):
        if edge is not None and edge[0] > traffic.rate and (needed := 1 - traffic.rate / edge[0]) <= _MOST_HEADROOM:
            now = units.percent_text(traffic.headroom)
            text = f"with a headroom {words.format(units.percent_text(needed))} (now {now})"
            found.append(Flip("headroom", traffic.headroom, needed, contenders[edge[1]].name, text))
    return found


def _limited(
    contenders: Sequence[Contender], chosen: int, traffic: Traffic, above: tuple[float, int] | None
) -> tuple[float, int] | None:
    """The edge above, or where the chosen one would need more replicas than may be run, if that comes first."""
    option = contenders[chosen].option(traffic.headroom)
    assert option is not None
    most = (traffic.most_replicas - traffic.spare_replicas) * option.usable
    if above is not None and above[0] <= most:
        return above
    other = cheapest(contenders, replace(traffic, rate=most * (1 + 2 * SAME)))
    return None if other is None or other == chosen else (most, other)


def _ends(
    found: Sequence[Stretch], chosen: int, rate: float
) -> tuple[tuple[float, int] | None, tuple[float, int] | None]:
    """The nearest edges below and above a rate beyond which the chosen one is not among the cheapest, and who is."""
    here = next((i for i, each in enumerate(found) if each.up_to is None or rate <= each.up_to * (1 + SAME)), None)
    if here is None:
        return None, None
    lower = next((each for each in reversed(found[:here]) if chosen not in each.cheapest), None)
    upper = next((each for each in found[here + 1 :] if chosen not in each.cheapest), None)
    below = None if lower is None or lower.up_to is None else (lower.up_to, lower.cheapest[0])
    return below, None if upper is None else (upper.above, upper.cheapest[0])


def _spare_flip(contenders: Sequence[Contender], chosen: int, traffic: Traffic) -> Flip | None:
    """The nearest number of spare replicas with which another one costs less."""
    counts = sorted(range(_MOST_SPARES + 1), key=lambda spares: abs(spares - traffic.spare_replicas))
    for spares in counts:
        other = cheapest(contenders, replace(traffic, spare_replicas=spares))
        if other is None or other == chosen:
            continue
        least = cost(contenders[other], replace(traffic, spare_replicas=spares))
        if least < cost(contenders[chosen], replace(traffic, spare_replicas=spares)) * (1 - SAME):
            text = f"with {spares} spare replica{'' if spares == 1 else 's'} (now {traffic.spare_replicas})"
            return Flip("spare_replicas", traffic.spare_replicas, spares, contenders[other].name, text)
    return None


def _capacity_flips(contenders: Sequence[Contender], chosen: int, traffic: Traffic) -> list[Flip]:
    """How much less the chosen one, or more another, would have to serve; and whether its interval allows that."""
    winner, found = contenders[chosen], []
    rivals = [rival for rival in _rivals(contenders, chosen) if math.isfinite(cost(rival, traffic))]
    if rivals:
        rival = min(rivals, key=lambda other: cost(other, traffic))
        needed = _capacity_for(winner, cost(rival, traffic), traffic, dearer=True)
        if needed is not None and needed < winner.capacity:
            text = f"if {winner.name} served less than {_rate(needed)} within the SLO ({_rate(winner.capacity)} is "
            text += "counted, the lower end of its capacity)"
            found.append(Flip("capacity", winner.capacity, needed, rival.name, text))
    ways = []
    for rival in _rivals(contenders, chosen):
        needed = _capacity_for(rival, cost(winner, traffic), traffic, dearer=False)
        if needed is not None and needed > rival.capacity:
            ways.append((needed / rival.capacity, needed, rival))
    if ways:
        _, needed, rival = min(ways, key=lambda way: way[0])
        inside = rival.high is not None and needed <= rival.high
        reach = f", which may reach {_rate(rival.high)}" if rival.high is not None else ""
        text = f"if it served {_rate(needed)} or more within the SLO ({_rate(rival.capacity)} is counted, the lower "
        text += f"end of its capacity{reach})"
        found.append(Flip("capacity", rival.capacity, needed, rival.name, text, likely=inside))
    return found


def _rate(rate: float) -> str:
    return units.short(units.rate_text(rate))


def _capacity_for(contender: Contender, other: float, traffic: Traffic, *, dearer: bool) -> float | None:
    """The capacity at which a server starts to cost more, or less, than `other` dollars; None if none does."""
    if traffic.rate is None:
        return contender.per_hour / other / (1 - traffic.headroom)
    count = other / contender.per_hour - traffic.spare_replicas  # so many would cost just the same
    allowed = traffic.most_replicas - traffic.spare_replicas
    if dearer:  # the fewest that cost more, and the rate that one fewer can still be given
        fewest = max(1, min(math.floor(count * (1 + SAME)), allowed) + 1)
        return None if fewest == 1 else traffic.rate / (fewest - 1) / (1 - traffic.headroom)
    most = min(math.ceil(count * (1 - SAME)) - 1, allowed)
    return None if most < 1 else traffic.rate / most / (1 - traffic.headroom)


def _price_kind_flips(contenders: Sequence[Contender], chosen: int, traffic: Traffic) -> list[Flip]:
    """Whether paying otherwise (spot, reserved) turns the choice, where that price is known of all of them."""
    found = []
    for kind in dict.fromkeys(kind for contender in contenders for kind in contender.other_prices):
        if all(kind in contender.other_prices for contender in contenders):
            others = [replace(contender, per_hour=contender.other_prices[kind]) for contender in contenders]
            other = cheapest(others, traffic)
            least = math.inf if other is None else cost(others[other], traffic)
            if other is not None and other != chosen and least < cost(others[chosen], traffic) * (1 - SAME):
                text = f"at {kind} prices for all instead of on-demand ones"
                found.append(Flip(f"price_{kind}", None, others[other].per_hour, contenders[other].name, text))
    return found
