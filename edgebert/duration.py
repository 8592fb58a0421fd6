"""Times as the command line takes and shows them: 90s, 45m, 1h30m. Standard library only."""

from __future__ import annotations

import math
import re

from edgebert.errors import SettingsError

TIME = re.compile(r"(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?")


def parse_duration(text: str, what: str) -> int:
    """Seconds of a time such as 45m.

    Args:
        text: Hours, minutes and seconds, each a whole number, or some of them.
        what: The option, for the message.

    Raises:
        SettingsError: It is no such time, or none at all.

    Example:
        ```python
        parse_duration("1h30m", "--budget")  # 5400
        ```
    """
    found = TIME.fullmatch(text.strip())
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + seconds
    if not total:
        raise SettingsError(f"{what} is {text!r:.40}; give a time such as 45m, 90s or 1h30m")
    return total


def show_duration(seconds: float) -> str:
    """A time rounded up to whole minutes, or below two minutes to ten seconds, as `parse_duration` reads it."""
    if seconds <= 120:
        return f"{10 * max(1, math.ceil(seconds / 10))}s"
    hours, minutes = divmod(math.ceil(seconds / 60), 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m"
