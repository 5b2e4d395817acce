"""Every metric, declared once. The reference page is made from this.

METRICS are what workers count: name -> (label, meaning); HISTOGRAMS how long something took. GAUGES
are what they, or their supervisor, say of this moment, with how the values of several workers become one.

Names and units: https://prometheus.io/docs/practices/naming/. The values of a label are a closed set (what
the container or the code names), or MOST says how many there are at most. SPEC: reliability 6, metrics; R230.
"""

from typing import Literal

from msgspec import Struct

METRICS: dict[str, tuple[str, str]] = {
    "sgtm_requests_claimed_total": ("client", "requests that this client claimed"),
    "sgtm_answers_total": (
        "client/status",
        "answers by the client that claimed the request (none: nobody) and class of status (2xx to 5xx)",
    ),
    "sgtm_requests_unclaimed_total": ("", "requests that no client claimed"),
    "sgtm_requests_refused_total": ("reason", "requests refused before or after the claim"),
    "sgtm_preview_requests_total": (
        "by",
        "requests that the preview looked at: header, parameter, cookie (in a session), look-back; and those "
        "with an unknown mark, which it did not",
    ),
    "sgtm_requests_dropped_total": ("reason", "hits answered as if they were taken, and dropped"),
    "sgtm_requests_lent_total": ("", "requests that the edge did not read itself but lent to aiohttp"),
    "sgtm_rates_exceeded_total": (
        "by",
        "requests beyond a rate (network, client id, measurement id, path), also where that is only observed",
    ),
    "sgtm_memory_given_back_total": ("", "times that caches and idle connections were given up for memory"),
    "sgtm_memory_levels_total": ("level", "times that memory became short: soft, hard"),
    "sgtm_certificates_read_total": ("outcome", "certificates read: loaded, refused (the old one stays)"),
    "sgtm_connections_closed_total": ("reason", "connections ended by a limit"),
    "sgtm_client_errors_total": ("client", "exceptions raised by a client while it looked at a request"),
    "sgtm_client_timeouts_total": ("client", "claimed requests answered 504 because nothing answered them"),
    "sgtm_records_unclaimed_total": ("", "records run again that no client of the container claims any more"),
    "sgtm_records_of_earlier_versions_total": (
        "served_by",
        "records of an earlier version of the container that ran again: with its own, or with today's",
    ),
    "sgtm_events_dropped_total": ("preparation", "events that a preparation dropped, or that it failed on"),
    "sgtm_events_total": ("client", "events that clients made"),
    "sgtm_measurement_id_events_total": (
        "measurement_id",
        "events by the measurement id (or tag id) that they came with; the first 30, then others",
    ),
    "sgtm_tags_fired_total": ("tag", "events for which the tag built something to send"),
    "sgtm_tags_silent_total": ("tag", "events for which the tag had nothing to send, and said why"),
    "sgtm_tags_blocked_total": ("tag", "events for which consent held the tag back"),
    "sgtm_tags_held_back_total": (
        "tag",
        "firings that schedule, sample, live only or a failed set-up tag prevented",
    ),
    "sgtm_tags_failed_total": ("tag", "events for which the tag raised an exception"),
    "sgtm_tag_warnings_total": ("tag", "warnings that the tag gave about an event"),
    "sgtm_events_repeated_total": ("client", "events dropped because the same hit had come before"),
    "sgtm_events_deduplicated_total": ("tag", "events that the tag did not send: the same had gone out"),
    "sgtm_deduplication_failures_total": (
        "",
        "events sent though nobody could say whether the same had gone out",
    ),
    "sgtm_deduplication_fallen_out_total": (
        "",
        "keys that were forgotten for room before their window ended",
    ),
    "sgtm_match_keys_total": ("tag/key", "events sent with this key of the person, for match quality"),
    "sgtm_context_saved_total": ("", "hits of browsers from which something was kept for other events"),
    "sgtm_context_events_total": (
        "client/outcome",
        "events without a browser: found, nothing known, no key, not asked (the store fails)",
    ),
    "sgtm_context_consent_total": (
        "client/source",
        "events without a browser by whose consent they have: own, browser, unset, or the policy's",
    ),
    "sgtm_context_fallen_out_total": ("", "keys that the context store forgot for room"),
    "sgtm_context_failures_total": ("what", "what the context store could not do: not saved, failed"),
    "sgtm_holds_total": (
        "rule/outcome",
        "events of two halves: merged, alone, not held, dropped, repeated, late (the other was sent alone), "
        "no room",
    ),
    "sgtm_variable_errors_total": ("variable", "exceptions raised by a variable"),
    "sgtm_lookups_total": (
        "outcome",
        "lookups of variables: kept, found, missing; with the default also timed out, failed, unreadable, "
        "shut (the destination is left alone), overloaded",
    ),
    "sgtm_template_runs_total": ("template", "runs of a template, as tag, client or variable"),
    "sgtm_template_failures_total": ("template", "runs that failed: an error, a limit, gtmOnFailure"),
    "sgtm_template_limits_total": ("template/limit", "runs that were ended by this limit"),
    "sgtm_template_seconds_total": (
        "template",
        "how long the template's code ran, without what it waited for",
    ),
    "sgtm_template_requests_total": (
        "outcome",
        "requests that templates waited for: answered, failed, timed out, too many (of one hit)",
    ),
    "sgtm_scripts_served_total": (
        "source",
        "scripts served: copy, upstream, stale (the upstream failed), none (and no copy: 502)",
    ),
    "sgtm_script_upstream_failures_total": ("path", "fetches of a script that brought nothing usable"),
    "sgtm_outbox_commits_total": ("", "groups of records made durable"),
    "sgtm_outbox_commits_failed_total": ("", "groups of records that could not be kept: answered 503"),
    "sgtm_outbox_files_suspect_total": ("", "outbox files that failed and were set aside"),
    "sgtm_outbox_records_damaged_total": ("", "records lost because their bytes on the disk are damaged"),
    "sgtm_outbox_records_taken_over_total": ("", "records from files of vanished slots or set aside"),
    "sgtm_deliveries_done_total": ("tag", "events that the vendor accepted"),
    "sgtm_deliveries_retried_total": ("tag", "attempts that failed and will be repeated"),
    "sgtm_vendor_requests_total": (
        "tag",
        "requests to vendors, each attempt; a batch counts for the tag of its first event",
    ),
    "sgtm_vendor_request_bytes_total": ("tag", "bytes of these requests: address and body"),
    "sgtm_attempts_total": (
        "destination/outcome",
        "requests to this destination by outcome: done, failed; the first 12 destinations, then others",
    ),
    "sgtm_records_run_again_total": (
        "why",
        "records whose tags ran again: left over (an earlier process), handed back (see below)",
    ),
    "sgtm_deliveries_handed_back_total": (
        "tag",
        "events whose destination was shut or full: their records wait in the outbox, not in memory",
    ),
    "sgtm_egress_refused_total": ("rule", "connections that the egress door refused, by what the address is"),
    "sgtm_deliveries_refused_total": ("tag", "requests not sent because their hit had caused too many"),
    "sgtm_letters_total": ("tag", "dead letters written, by tag; empty where no tag had its turn"),
    "sgtm_letters_not_kept_total": ("reason", "what was given up and left no dead letter, and why"),
    "sgtm_letters_fallen_out_total": ("", "dead letters deleted for room, or because of their age"),
    "sgtm_archive_records_total": ("", "records archived after they were delivered"),
    "sgtm_archive_records_lost_total": ("", "records that could not be archived (the disk is full or fails)"),
    "sgtm_journal_lost_total": (
        "",
        "attempts that could not be noted (the disk stalls, is full or fails)",
    ),
    "sgtm_archive_segments_deleted_total": ("", "archive files deleted: too old, too much, or in the way"),
    "sgtm_deliveries_dead_total": ("tag", "events given up: refused for good, or expired"),
}

CLOSED: dict[str, tuple[str, ...]] = {
    "sgtm_memory_levels_total": ("soft", "hard"),
    "sgtm_certificates_read_total": ("loaded", "refused"),
    "sgtm_records_of_earlier_versions_total": ("its own", "today's"),
    "sgtm_records_run_again_total": ("left over", "handed back"),
    "sgtm_letters_not_kept_total": ("too many unclaimed requests",),
    "sgtm_scripts_served_total": ("copy", "upstream", "stale", "none"),
}
"""Values of a label that the code names, so that each is there at 0 before it is counted."""


HISTOGRAMS: dict[str, tuple[str, str]] = {
    "sgtm_request_seconds": (
        "client",
        "from the arrival of a request's head to its answer, for requests that a client claimed",
    ),
    "sgtm_delivery_seconds": (
        "destination",
        "how long the vendor took for a request, answered or failed; the first 12 destinations, then others",
    ),
    "sgtm_outbox_commit_seconds": (
        "",
        "how long the first of a group of records waited until all were durable",
    ),
}

MOST = {"destination/outcome": 24, "measurement_id": 30, "tag/key": 60, "path": 12}
"""How many values a counter's label has at most, where visitors or events decide what they are."""
RARE = frozenset(
    {
        "sgtm_tags_held_back_total",
        "sgtm_tag_warnings_total",
        "sgtm_events_deduplicated_total",
        "sgtm_deliveries_handed_back_total",
        "sgtm_deliveries_refused_total",
    }
)
"""Counters that have no series at 0 for each tag: with 100 tags there are at most 2,000 series in all."""

BOUNDS_S = (0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0)
"""Upper bounds of a histogram's buckets, in seconds; one more is without bound. The same for all, so that
those of several workers can be added."""


class Gauge(Struct, frozen=True):
    """One value of this moment. `merge`: over the workers, the sum, the largest or the smallest."""

    label: str
    merge: Literal["sum", "max", "min"]
    meaning: str


GAUGES: dict[str, Gauge] = {
    "sgtm_connections": Gauge("", "sum", "connections that are open"),
    "sgtm_outbox_records": Gauge("", "sum", "records that still owe something"),
    "sgtm_outbox_bytes": Gauge("", "sum", "bytes of these records"),
    "sgtm_outbox_budget_bytes": Gauge("", "sum", "bytes that they may have"),
    "sgtm_outbox_free_bytes": Gauge(
        "", "max", "bytes that are free on the outbox's disk, besides its reserve"
    ),
    "sgtm_disk_free_bytes": Gauge("", "max", "bytes that are free on the disk of the data folder"),
    "sgtm_disk_size_bytes": Gauge("", "max", "size of that disk"),
    "sgtm_outbox_oldest_seconds": Gauge("", "max", "age of the oldest record that still owes something"),
    "sgtm_outbox_full_in_seconds": Gauge(
        "", "min", "time until the outbox is full at the present rate; missing while it does not grow"
    ),
    "sgtm_outbox_suspect_files": Gauge("", "sum", "outbox files that were set aside and not deleted yet"),
    "sgtm_letters": Gauge("", "sum", "dead letters that are kept"),
    "sgtm_archive_bytes": Gauge("", "sum", "bytes of the archive"),
    "sgtm_letter_bytes": Gauge("", "sum", "bytes of these letters"),
    "sgtm_outbox_durability": Gauge(
        "", "min", "0: lost with the process, 1: survives it, 2: a power cut, 3: a lost disk"
    ),
    "sgtm_deliveries_held": Gauge(
        "tag", "sum", "records that wait in the outbox until their destination can take what the tag owes"
    ),
    "sgtm_destination_refuses": Gauge(
        "tag", "max", "1 while a destination refuses the tag: its credential or rights are to be mended"
    ),
    "sgtm_context_entries": Gauge("", "max", "keys in the context store"),
    "sgtm_context_bytes": Gauge("", "max", "bytes of what is kept under them"),
    "sgtm_events_waiting": Gauge("", "sum", "events that wait for their counterpart"),
    "sgtm_deliveries_pending": Gauge("", "sum", "deliveries taken and not settled"),
    "sgtm_lane_queued": Gauge("destination", "sum", "deliveries that wait in memory for this destination"),
    "sgtm_lane_in_flight": Gauge("destination", "sum", "deliveries that are being sent to it"),
    "sgtm_lane_oldest_seconds": Gauge(
        "destination", "max", "age of the oldest event that it is still owed, in memory or in the outbox"
    ),
    "sgtm_lane_shut": Gauge("destination", "max", "1 while it fails or refuses, so that nothing is sent"),
    "sgtm_event_loop_lag_seconds": Gauge(
        "", "max", "how late the event loop was at worst in the last minute"
    ),
    "sgtm_certificate_expiry_timestamp_seconds": Gauge(
        "", "max", "when the first of our own certificates ends, in Unix seconds; there with TLS only"
    ),
    "sgtm_event_loop_tasks": Gauge("", "sum", "tasks of the event loop: grows if something never ends"),
    "sgtm_workers": Gauge("", "sum", "workers that should run"),
    "sgtm_worker_up": Gauge("slot", "sum", "1 where a worker serves"),
    "sgtm_worker_ends_total": Gauge("slot/reason", "sum", "workers that ended: died, hung, restarted"),
    "sgtm_reloads_total": Gauge("outcome", "sum", "reloads of the container: done, refused"),
    "sgtm_log_lines_left_out_total": Gauge(
        "reason",
        "sum",
        "lines of the log that were left out: repeated (over ten a second), unread, sampled (--log-requests)",
    ),
    "sgtm_build_info": Gauge("version/python", "max", "always 1; what runs"),
    "process_cpu_seconds_total": Gauge("", "sum", "CPU seconds, user and system, of all processes"),
    "process_resident_memory_bytes": Gauge("", "sum", "resident memory of all processes"),
    "process_open_fds": Gauge("", "sum", "open files and sockets of all processes"),
    "python_gc_collections_total": Gauge("generation", "sum", "runs of Python's garbage collector"),
    "python_gc_objects_collected_total": Gauge("generation", "sum", "objects that it freed"),
    "process_start_time_seconds": Gauge("", "max", "when the server was started, in Unix seconds"),
}
