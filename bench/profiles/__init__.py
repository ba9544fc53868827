"""Load profiles, one small frozen dataclass each; its fields are the YAML keys.

An open-loop profile yields send times, a closed-loop profile says how many users there are. Profiles know
nothing of pydantic, servers or clocks; the seed comes in as `rng`. A new one is a dataclass in a module of this
folder and a name in `AnyProfile`.
"""

from __future__ import annotations

from typing import get_args

from bench.profiles.capacity import Capacity
from bench.profiles.changing import Ramp, Spike, Steps
from bench.profiles.closed import Closed
from bench.profiles.profile import OpenLoop, Profile, has_schedule
from bench.profiles.replay import Replay
from bench.profiles.steady import Constant, Gamma, Poisson
from bench.profiles.swap import Swap

__all__ = [
    "PROFILES",
    "AnyProfile",
    "Capacity",
    "Closed",
    "Constant",
    "Gamma",
    "OpenLoop",
    "Poisson",
    "Profile",
    "Ramp",
    "Replay",
    "Spike",
    "Steps",
    "Swap",
    "has_schedule",
]

AnyProfile = Closed | Constant | Poisson | Gamma | Steps | Spike | Ramp | Replay | Swap | Capacity
PROFILES: dict[str, type[AnyProfile]] = {profile.name: profile for profile in get_args(AnyProfile)}
