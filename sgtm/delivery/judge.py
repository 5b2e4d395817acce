"""From one attempt to the outcome of each delivery: the tag's own words, made safe.

Nothing a tag's `envelope` or `read` does wrong loses a delivery: what they cannot say is judged by
the plain rule on the status, and what that calls a success without their word is dead, with the
reason, since sending it again could only be a duplicate.
"""

from collections.abc import Sequence

from msgspec import Struct

from sgtm.component import read_status
from sgtm.delivery.delivery import Delivery
from sgtm.delivery.errors import CredentialMissing, CredentialRefused, SendError
from sgtm.delivery.retry import bounded_wait_s, retry_after_s
from sgtm.messages import Outcome, OutgoingRequest, VendorAnswer


class Attempt(Struct):
    """What came of sending some deliveries in one request: an outcome for each."""

    outcomes: list[Outcome]
    answer: VendorAnswer | None = None
    error: str = ""
    """Class name of what the sender raised."""
    is_transient: bool = False
    """What it raised says that the destination fails just now."""

    @property
    def is_done(self) -> bool:
        """Whether the vendor accepted all of it."""
        return all(outcome.kind == "done" for outcome in self.outcomes)

    @property
    def was_sent(self) -> bool:
        """Whether the vendor has to do with it."""
        return self.answer is not None or self.is_transient


KINDS = frozenset({"done", "retry", "dead", "isolate", "refused"})


def request_of(deliveries: Sequence[Delivery]) -> OutgoingRequest | Outcome:
    """The request in which these travel; an outcome where the tag's `envelope` cannot make one."""
    first = deliveries[0]
    envelope = first.component.envelope
    if not first.request.item or envelope is None:
        return first.request
    try:
        made = envelope([delivery.request for delivery in deliveries])
    except Exception as error:
        return Outcome("isolate", f"the tag's envelope raised {type(error).__name__}")
    return (
        made
        if isinstance(made, OutgoingRequest)
        else Outcome("isolate", "the tag's envelope made no request")
    )


def judge(deliveries: Sequence[Delivery], came: Exception) -> Attempt:
    """What it means that no answer came."""
    name = type(came).__name__
    if isinstance(came, SendError):
        outcomes = [judge_error(came, delivery.request) for delivery in deliveries]
        return Attempt(outcomes, error=name, is_transient=came.is_transient)
    return Attempt([Outcome("retry", f"the sender raised {name}")] * len(deliveries), error=name)


def judge_answer(deliveries: Sequence[Delivery], answer: VendorAnswer) -> Outcome | list[Outcome]:
    """By the tag's `read`: one outcome for all deliveries, or one for each."""
    requests = [delivery.request for delivery in deliveries]
    try:
        said = deliveries[0].component.read(answer, requests)
    except Exception as error:
        return _without_the_tag(answer, requests, f"the tag's read raised {type(error).__name__}")
    if isinstance(said, Outcome) and said.kind in KINDS:
        return said
    if isinstance(said, list) and len(said) == len(requests) and all(map(_is_outcome, said)):
        return said
    return _without_the_tag(answer, requests, "the tag's read gave no outcome for each event")


def judge_error(error: SendError, request: OutgoingRequest) -> Outcome:
    """What a failed attempt means for one of those that were sent."""
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, (CredentialMissing, CredentialRefused)):
        return Outcome("refused", reason)
    if error.may_have_arrived and not request.can_be_repeated:
        return Outcome("dead", f"{reason}; it may have arrived, and the vendor would count a copy twice")
    return Outcome("retry" if error.is_transient else "dead", reason)


def asked_wait_s(attempt: Attempt, now_unix_s: float) -> float:
    """Seconds for which the vendor asked not to be sent anything (SPEC: R97); 0: it did not."""
    waits = [outcome.retry_after_s for outcome in attempt.outcomes if outcome.kind == "retry"]
    asked = [bounded_wait_s(seconds) for seconds in waits if seconds is not None]
    if waits and attempt.answer is not None:
        asked.append(retry_after_s(attempt.answer.header("retry-after"), now_unix_s) or 0.0)
    return max(asked, default=0.0)


def _is_outcome(said: object) -> bool:
    return isinstance(said, Outcome) and said.kind in KINDS


def _without_the_tag(answer: VendorAnswer, requests: list[OutgoingRequest], why: str) -> Outcome:
    plain = read_status(answer, requests)
    kind = "dead" if plain.kind == "done" else plain.kind
    return Outcome(kind, f"{why} (HTTP {answer.status})")
