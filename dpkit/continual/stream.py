"""What every stream refuses: steps past its horizon, copies, forks, and going on after an interruption."""

from __future__ import annotations

import os
import threading
from typing import Any

from dpkit.errors import BudgetSpentError, HorizonError

__all__ = ["Stream"]

_INTERRUPTED = "this stream was interrupted in the middle of a step and cannot go on: start a new one"


class Stream:
    """The base of the streaming statistics: one owner, one clock, one continuation.

    *Privacy*: two continuations of one state share noise, so their difference can show inputs exactly. Every
    way to make a second one inside a process, or by a fork, is refused; memory snapshots are out of scope.
    """

    def _begin(self, limit: int) -> None:
        self._limit = limit
        self._t = 0
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._ended = ""

    @property
    def t(self) -> int:
        """Number of elements taken so far."""
        return self._t

    def _enter(self, steps: int) -> None:
        """Refuse to go on where that would repeat noise; until `_leave` the stream counts as interrupted."""
        if self._ended:
            raise BudgetSpentError(self._ended)
        if os.getpid() != self._pid:
            raise BudgetSpentError(
                "this stream was forked into another process, and two continuations of one stream share "
                "noise: go on in the process that made it, or hand it over with state()"
            )
        if self._t + steps > self._limit:
            raise HorizonError(
                f"horizon {self._limit} would be passed: {self._t} steps taken, {steps} more asked for; "
                "a new stream is a new release, with a budget of its own"
            )
        self._ended = _INTERRUPTED

    def _leave(self, steps: int) -> int:
        """Count the steps taken and return the clock."""
        self._t += steps
        self._ended = ""
        return self._t

    def _no_copy(self, *_: object) -> Any:
        raise BudgetSpentError(
            "a stream cannot be copied or pickled, since two continuations of one stream share noise: "
            "hand it over with state() and from_state"
        )

    __copy__ = __deepcopy__ = __reduce_ex__ = _no_copy
