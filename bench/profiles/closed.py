"""Closed loop: users that wait for their replies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from annotated_types import MinLen

from bench.profiles.profile import Seconds, Users


@dataclass(frozen=True, kw_only=True)
class Closed:
    """Closed loop: each of `users` waits for its reply before it sends again."""

    name: ClassVar[str] = "closed"
    open_loop: ClassVar[bool] = False
    users: Users | Annotated[tuple[Users, ...], MinLen(1)]
    duration: Seconds

    @property
    def label(self) -> str:
        """`closed-8`."""
        return f"closed-{self.users}"

    def points(self) -> tuple[Closed, ...]:
        """One profile per number of users."""
        users = self.users if isinstance(self.users, tuple) else (self.users,)
        return tuple(replace(self, users=number) for number in users)
