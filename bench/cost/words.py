"""Costs in plain sentences: which server is cheapest at which rate, what would turn it, what a figure stands on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench import units
from bench.cost.choice import Flip
from bench.cost.steps import Stretch
from bench.cost.traffic import Traffic

if TYPE_CHECKING:
    from bench.cost.figures import ServerCost

_MOST_RANGES = 3
"""More ranges of rates than this are counted, not listed."""
_MOST_STRETCHES = 4
"""More of them than this, and only the first and the last are named where each is one server's."""
_MOST_NAMES = 5


def break_even_text(stretches: Sequence[Stretch], names: Sequence[str]) -> str:
    """`gunicorn is cheapest up to 40.0/s, tfserving above.`; the rates are those of the whole traffic."""
    if not stretches or len(names) < 2:
        return ""
    always = [place for place in range(len(names)) if all(place in each.cheapest for each in stretches)]
    if always:
        return _always(stretches, names, always)
    alone = [each for each in stretches if len(each.cheapest) == 1]
    if len(stretches) == 2 and len(alone) == 2:
        at = _rate(stretches[0].up_to)
        return f"{names[stretches[0].cheapest[0]]} is cheapest up to {at}, {names[stretches[1].cheapest[0]]} above."
    first, last = stretches[0], stretches[-1]
    ends = len(first.cheapest) == len(last.cheapest) == 1 and first.cheapest != last.cheapest and last.up_to is None
    if ends and len(stretches) > _MOST_STRETCHES:
        return (
            f"{names[first.cheapest[0]]} is cheapest up to {_rate(first.up_to)}, {names[last.cheapest[0]]} above "
            f"{_rate(last.above)}; in between, whole replicas turn it {len(stretches) - 1} times."
        )
    parts = []
    for place in dict.fromkeys(place for each in stretches for place in each.cheapest):
        own = [each for each in stretches if place in each.cheapest]
        if any(each.cheapest == (place,) for each in own) or len(own) > 1:
            parts.append(f"{names[place]} {_ranges(own)}")
    return f"Cheapest: {'; '.join(parts)}.{_same_note(stretches)}{_unsettled(stretches)}"


def _always(stretches: Sequence[Stretch], names: Sequence[str], always: Sequence[int]) -> str:
    winners = listed([names[place] for place in always])
    if len(always) > 1:
        rest = "" if len(always) == len(names) else "; no other server costs less"
        return f"{winners} cost the same at every rate{_looked_at(stretches)}{rest}."
    tied = [each for each in stretches if len(each.cheapest) > 1]
    if not tied:
        return f"{winners} is cheapest at every rate{_looked_at(stretches)}."
    others = dict.fromkeys(place for each in tied for place in each.cheapest if place not in always)
    parts = [
        f"{names[other]} costs the same {_ranges([each for each in tied if other in each.cheapest])}"
        for other in others
    ]
    return f"No server is cheaper than {winners} at any rate{_looked_at(stretches)}; {', '.join(parts)}."


def listed(names: Sequence[str]) -> str:
    """`a, b and c`, `a, b, c and 4 more`."""
    if len(names) > _MOST_NAMES:
        return f"{', '.join(names[: _MOST_NAMES - 1])} and {len(names) - _MOST_NAMES + 1} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _looked_at(stretches: Sequence[Stretch]) -> str:
    end = stretches[-1].up_to
    return "" if end is None else f" up to {_rate(end)}"


def _unsettled(stretches: Sequence[Stretch]) -> str:
    end = stretches[-1].up_to
    return "" if end is None else f" Looked at up to {_rate(end)}; it goes on changing above."


def _same_note(stretches: Sequence[Stretch]) -> str:
    return " Where two are named for a rate, they cost the same." if any(len(s.cheapest) > 1 for s in stretches) else ""


def _ranges(stretches: Sequence[Stretch]) -> str:
    """`up to 40/s and above 60/s`; neighbours joined; beyond a few, how many lie between the first and the last."""
    joined: list[tuple[float, float | None]] = []
    for each in stretches:
        if joined and joined[-1][1] == each.above:
            joined[-1] = (joined[-1][0], each.up_to)
        else:
            joined.append((each.above, each.up_to))
    if len(joined) > _MOST_RANGES:
        first, last = _range(*joined[0]), _range(*joined[-1])
        return f"{first}, in {len(joined) - 2} ranges after that, and {last}"
    said = [_range(*each) for each in joined]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"


def _range(above: float, up_to: float | None) -> str:
    if up_to is None:
        return f"above {_rate(above)}" if above else "at every rate"
    if _rate(above) == _rate(up_to):
        return f"around {_rate(up_to)}"
    return f"from {_rate(above)} to {_rate(up_to)}" if above else f"up to {_rate(up_to)}"


def _rate(rate: float | None) -> str:
    """A rate at which something changes: `40/s`, without zeros that say nothing."""
    return units.short(units.rate_text(rate))


def flip_text(flip: Flip) -> str:
    """`tfserving would be chosen with traffic above 120/s (now 40/s)`: a sentence without its stop."""
    open_end = ", which the measurement itself leaves open" if flip.likely else ""
    return f"{flip.to} would be chosen {flip.text}{open_end}"


def traffic_text(traffic: Traffic) -> str:
    """`40.0/s, 30 % headroom, 1 spare replica`; what was not stated is said so."""
    spare = f"{traffic.spare_replicas} spare replica{'' if traffic.spare_replicas == 1 else 's'}"
    headroom = f"{units.percent_text(traffic.headroom)} headroom"
    if traffic.rate is None:
        return f"no traffic stated, so figures are per replica with {headroom} and no spare"
    mean = f" ({_rate(traffic.mean)} on average)" if traffic.mean_rate is not None else ""
    return f"{_rate(traffic.rate)}{mean}, {headroom}, {spare}, {traffic.hours_per_month:g} hours a month"


def bill_text(cost: ServerCost, traffic: Traffic) -> str:
    """`3 replicas, $894 a month, $8.50 per million`; for a bill without its traffic, what one replica comes to."""
    if cost.per_month is None or cost.per_million is None:
        return cost.absent
    most = "at most " if cost.per_million.low is None else ""
    month, million = units.dollars_text(cost.per_month.value), units.dollars_text(cost.per_million.value)
    if traffic.rate is None:
        return f"{month} a month for one replica, {most}{million} per million requests"
    count = f"{cost.replicas} replica{'' if cost.replicas == 1 else 's'}"
    return f"{count}, {most}{month} a month, {million} per million requests"


def price_in(price: Mapping[str, object] | None) -> float | None:
    """Dollars per hour of one replica in a resolved price; None without one, or where it is not above zero."""
    per_hour = None if price is None else price.get("per_hour")
    return float(per_hour) if isinstance(per_hour, int | float) and per_hour > 0 else None
