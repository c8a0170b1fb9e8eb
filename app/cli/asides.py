"""Standard error as a console: what is said on the way ends nothing when nobody hears it any more."""

from __future__ import annotations

from rich.console import Console


class Asides(Console):
    """Falls silent when its reader goes away."""

    def on_broken_pipe(self) -> None:
        """The library would end the process here, and send its standard output to nowhere."""
        self.quiet = True
