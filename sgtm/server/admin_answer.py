"""What every answer of the admin listener says."""

from collections.abc import Sequence

import msgspec

from sgtm.answers import NO_STORE
from sgtm.messages import Answer

FOR_ALL = (NO_STORE, ("X-Content-Type-Options", "nosniff"))


def json_answer(body: object, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> Answer:
    """An answer in JSON."""
    all_headers = (*FOR_ALL, ("Content-Type", "application/json"), *headers)
    return Answer(status, all_headers, msgspec.json.encode(body))
