"""Present faults of the endpoints of the process: whose work this computer does at the moment, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

from offline.endpoints.errors import EndpointFault

EndpointName = Literal["llm", "stt", "tts"]

OnFault = Callable[[EndpointFault | None], None]
"""Receives the present fault of one endpoint; None when it works."""


def ignore_fault(fault: EndpointFault | None) -> None:
    """Take the present fault of an endpoint that is not reported."""


class EndpointFaults:
    """Faults by the endpoint's name; an endpoint without one works or was not asked yet. Belongs to the event loop."""

    def __init__(self) -> None:
        self._present: dict[EndpointName, EndpointFault] = {}
        self._report: Callable[[Mapping[str, str]], None] | None = None

    @property
    def present(self) -> dict[str, str]:
        """The values of the present faults; {} while all endpoints work."""
        return {name: fault.value for name, fault in self._present.items()}

    def watch(self, report: Callable[[Mapping[str, str]], None]) -> None:
        """Call `report` with all present faults after each change, and now if there are any."""
        self._report = report
        if self._present:
            report(self.present)

    def noter(self, name: EndpointName) -> OnFault:
        """Return the function to which the owner of the endpoint `name` tells its present fault."""
        return partial(self._note, name)

    def _note(self, name: EndpointName, fault: EndpointFault | None) -> None:
        if fault is self._present.get(name):
            return
        if fault is None:
            del self._present[name]
        else:
            self._present[name] = fault
        if self._report is not None:
            self._report(self.present)
