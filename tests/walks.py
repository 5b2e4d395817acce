"""Walks of the shop's recorded hits through its example container: what the preview's tests look at."""

from pathlib import Path

from msgspec.structs import replace

from sgtm.container.compile import load_container
from sgtm.demo.hits import read_hit
from sgtm.dry_run import PLAIN_REQUEST, dry_run
from sgtm.event import undefined
from sgtm.messages import Answer, CredentialUse, Outcome, OutgoingRequest, VendorAnswer
from sgtm.observability.walk import (
    Walk,
    WalkedCondition,
    WalkedDelivery,
    WalkedEvent,
    WalkedTag,
    WalkedTransformation,
    WalkedTrigger,
    WalkedVariable,
)
from sgtm.preview.encoding import Seen, view_of

SHOP = Path(__file__).parent.parent / "examples/shop"
HITS = sorted(path.stem for path in (SHOP / "hits").glob("*.http"))


def shop_container():
    """The example container; its secrets need no value in a dry run."""
    environment = {"META_PIXEL_ID": "1", "META_ACCESS_TOKEN": "EAA-shop-token"}
    return load_container(SHOP / "container.yaml", environment)


def recorded_request(name, **changes):
    """A recorded hit as a server behind the recording's proxy would have seen it."""
    hit = read_hit(SHOP / "hits" / f"{name}.http")
    path, _, query = hit.target.partition("?")
    headers = tuple((key.lower().encode(), value.encode()) for key, value in hit.headers)
    given = {
        "method": hit.method,
        "path": path,
        "query": query.encode(),
        "headers": headers,
        "body": hit.body,
        "host": "sst.shop.example",
        "remote_address": "81.2.69.142",
    }
    return replace(PLAIN_REQUEST, **(given | changes))


def shop_view(container, name, source="session", **changes):
    """What the preview shows of a recorded hit."""
    request = recorded_request(name, **changes)
    seen = Seen(id=name, source=source, took_micros=420)
    return view_of(dry_run(container, request), request, seen, container)


def walk_saying(word):
    """A walk that has everything a walk can have, and says `word` wherever it says anything."""
    failed = WalkedCondition(f"{{{{{word}}}}} equals {word}", word, word)
    raised = WalkedCondition(word, undefined, word, error=word)
    step = WalkedTransformation(
        word, True, {word: word, "gone": word}, {word: f"{word}!", "new": word}, reason=word
    )
    unapplied = WalkedTransformation(f"{word} 2", False, {}, {}, failed=failed)
    request = OutgoingRequest(
        "POST",
        f"https://vendor.example/{word}?{word}={word}",
        ((word, word),),
        word.encode(),
        CredentialUse(word, "header", word),
    )
    delivery = WalkedDelivery(request)
    for attempt in (1, 2):
        delivery.begins(PLAIN_REQUEST.received_micros + 1_000 * attempt)
        answer = VendorAnswer(400, ((word, word),), word.encode())
        delivery.ended(
            PLAIN_REQUEST.received_micros + 1_500 * attempt, Outcome("dead", word), answer, word, attempt
        )
    tags = [
        WalkedTag(
            f"{word} {outcome}",
            outcome,
            word,
            triggers=[
                WalkedTrigger(word, True),
                WalkedTrigger(f"{word} 2", False, failed=failed),
                WalkedTrigger(f"{word} 3", True, is_blocking=True),
                WalkedTrigger(f"{word} 4", False, failed=raised),
                WalkedTrigger(f"{word} 5", False, reason=word),
            ],
            transformations=[step, unapplied],
            variables=[
                WalkedVariable(word, word),
                WalkedVariable(f"{word} 2", {word: [word, 1, None]}, True),
            ],
            warnings=[word],
            match_keys=(word,),
            deliveries=[delivery] if outcome == "fired" else [],
            console=[word, f"{word} again"],
        )
        for outcome in ("fired", "failed", "blocked by consent", "not triggered")
    ]
    data = {word: word, "nested": {word: [word, {word: undefined}]}}
    event = WalkedEvent(word, data, word, tags, [step], inherited={"nested": word})
    headers = ((word, word), ("Set-Cookie", f"{word}={word}; Path=/"))
    return Walk(
        "GET",
        f"/{word}",
        [(word, word)],
        word,
        [word, f"console: {word}"],
        [event],
        Answer(200, headers, word.encode()),
    )
