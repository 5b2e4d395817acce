"""Setup: the stream and its consumer on the broker, with the settings of reliability 1.3."""

from asyncio import timeout
from typing import Any

from msgspec import Struct

from sgtm.delivery.context.keys import bucket_of
from sgtm.delivery.outbox.nats_broker import OPEN_S
from sgtm.delivery.outbox.nats_connection import (
    CONSUMER,
    Connection,
    NoAnswer,
    NoStream,
    subject_of,
)
from sgtm.delivery.outbox.nats_letters import dead_stream_of, dead_subjects_of
from sgtm.delivery.outbox.nats_promise import Promise, judge
from sgtm.settings import Settings

DAY_S = 86_400
DUPLICATES_S = 60
"""Longer than a group is published again and again; each id costs the server memory for so long."""
MAX_ACK_PENDING = 8_000
"""Messages that all deliverers together may have in hand."""
_CHANGEABLE = ("max_bytes", "max_age", "num_replicas", "max_msg_size", "discard", "duplicate_window")


class Setup(Struct, frozen=True):
    """What may be chosen."""

    max_bytes: int
    replicas: int = 1
    max_age_s: int = 8 * DAY_S
    """The longest expiry of any tag (Meta: 7 days), and a day."""
    letter_days: int = 30
    context_days: int = 32
    """Longer than any `ttl` of a container should be; values end by that."""
    max_message_bytes: int = 2 * 1_048_576
    ack_wait_s: float = 15.0
    """A deliverer's death is noticed after so long: the time-out of a lane and 10 s."""


def stream_config(name: str, setup: Setup) -> dict[str, Any]:
    """The stream of records."""
    return {
        "name": name,
        "subjects": [subject_of(name)],
        "storage": "file",
        "retention": "workqueue",
        "discard": "new",
        "max_bytes": setup.max_bytes,
        "max_age": setup.max_age_s * 10**9,
        "max_msg_size": setup.max_message_bytes,
        "duplicate_window": DUPLICATES_S * 10**9,
        "num_replicas": setup.replicas,
        "deny_delete": True,
        "max_msgs": -1,
        "max_consumers": -1,
    }


def dead_config(name: str, setup: Setup) -> dict[str, Any]:
    """The stream of dead letters: one message for each, and the oldest fall out."""
    own = {
        "name": dead_stream_of(name),
        "subjects": [dead_subjects_of(name)],
        "retention": "limits",
        "discard": "old",
        "max_bytes": max(setup.max_message_bytes, setup.max_bytes // 10),
        "max_age": setup.letter_days * DAY_S * 10**9,
        "max_msgs_per_subject": 1,
        "deny_delete": False,
    }
    return {**stream_config(name, setup), **own}


def context_config(name: str, setup: Setup) -> dict[str, Any]:
    """The bucket of the context store, as the broker's own tools know it; the oldest fall out."""
    bucket = bucket_of(name)
    own = {
        "name": f"KV_{bucket}",
        "subjects": [f"$KV.{bucket}.>"],
        "max_bytes": max(setup.max_message_bytes, setup.max_bytes // 10),
        "max_age": setup.context_days * DAY_S * 10**9,
        "allow_direct": True,
        "allow_rollup_hdrs": True,
    }
    return {**dead_config(name, setup), **own}


def consumer_config(setup: Setup) -> dict[str, Any]:
    """The consumer that all deliverers share. No server-side `max_deliver`: attempts are counted by us."""
    return {
        "durable_name": CONSUMER,
        "ack_policy": "explicit",
        "ack_wait": int(setup.ack_wait_s * 1e9),
        "max_ack_pending": MAX_ACK_PENDING,
        "max_deliver": -1,
        "deliver_policy": "all",
        "replay_policy": "instant",
        "max_waiting": 512,
    }


async def set_up(settings: Settings, setup: Setup) -> tuple[list[str], Promise]:
    """Make what is missing, change what may be changed: what was done, in words, and what it promises.
    Raises NoAnswer, OutboxUnavailable, SettingsError."""
    connection = Connection(settings)
    try:
        try:
            async with timeout(OPEN_S):
                await connection.connect()
        except TimeoutError:
            reason = connection.last_error or "no answer"
            raise NoAnswer(reason, where="broker", mend="is it running, and is its address right?") from None
        stream = settings.nats_stream
        done = [await _stream(connection, stream_config(stream, setup))]
        done.append(await _stream(connection, dead_config(stream, setup)))
        done.append(await _stream(connection, context_config(stream, setup)))
        body = {"stream_name": stream, "config": consumer_config(setup)}
        await connection.ask(f"CONSUMER.DURABLE.CREATE.{stream}.{CONSUMER}", body)
        done.append(f"consumer {CONSUMER}: ready")
        return done, judge(await connection.facts(await connection.ask(f"STREAM.INFO.{stream}")))
    finally:
        await connection.close()


async def _stream(connection: Connection, wanted: dict[str, Any]) -> str:
    name = wanted["name"]
    try:
        config = (await connection.ask(f"STREAM.INFO.{name}"))["config"]
    except NoStream:
        await connection.ask(f"STREAM.CREATE.{name}", wanted)
        return f"stream {name}: made"
    changes = {key: wanted[key] for key in _CHANGEABLE if config.get(key) != wanted[key]}
    if not changes:
        return f"stream {name}: as it should be"
    await connection.ask(f"STREAM.UPDATE.{name}", {**config, **changes})
    return f"stream {name}: changed {', '.join(changes)}"
