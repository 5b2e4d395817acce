"""Gauges of an outbox, under their names in `observability/names.py`."""

from sgtm.delivery.outbox import OutboxState


def outbox_gauges(state: OutboxState, now_s: float) -> dict[str, float]:
    """What is known of this moment; `now_s` is Unix time."""
    known = {
        "sgtm_outbox_records": state.records,
        "sgtm_outbox_bytes": state.used_bytes,
        "sgtm_outbox_budget_bytes": state.budget_bytes,
        "sgtm_outbox_free_bytes": state.free_bytes,
        "sgtm_outbox_oldest_seconds": _age_s(state.oldest_micros, now_s),
        "sgtm_outbox_full_in_seconds": state.time_to_full_s,
        "sgtm_outbox_suspect_files": state.suspects,
        "sgtm_outbox_durability": state.durability,
        "sgtm_letters": state.letters,
        "sgtm_letter_bytes": state.letter_bytes,
        "sgtm_archive_bytes": state.archive_bytes,
    }
    return {name: value for name, value in known.items() if value is not None}


def _age_s(micros: int | None, now_s: float) -> float:
    return max(0.0, now_s - micros / 1e6) if micros is not None else 0.0
