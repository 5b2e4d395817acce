"""Every metric, declared once: name -> (label, meaning). The reference page is made from this."""

METRICS: dict[str, tuple[str, str]] = {
    "sgtm_requests_claimed_total": ("client", "requests that this client claimed"),
    "sgtm_requests_unclaimed_total": ("", "requests that no client claimed"),
    "sgtm_requests_refused_total": ("reason", "requests refused before or after the claim"),
    "sgtm_requests_dropped_total": ("reason", "hits answered as if they were taken, and dropped"),
    "sgtm_connections_closed_total": ("reason", "connections ended by a limit"),
    "sgtm_client_errors_total": ("client", "exceptions raised by a client while it looked at a request"),
    "sgtm_client_timeouts_total": ("client", "claimed requests answered 504 because nothing answered them"),
    "sgtm_events_total": ("client", "events that clients made"),
    "sgtm_tags_fired_total": ("tag", "events for which the tag built something to send"),
    "sgtm_tags_silent_total": ("tag", "events for which the tag had nothing to send, and said why"),
    "sgtm_tags_blocked_total": ("tag", "events for which consent held the tag back"),
    "sgtm_tags_failed_total": ("tag", "events for which the tag raised an exception"),
    "sgtm_tag_warnings_total": ("tag", "warnings that the tag gave about an event"),
    "sgtm_events_repeated_total": ("client", "events dropped because the same hit had come before"),
    "sgtm_match_keys_total": ("tag/key", "events sent with this key of the person, for match quality"),
    "sgtm_variable_errors_total": ("variable", "exceptions raised by a variable"),
    "sgtm_scripts_served_total": (
        "source",
        "scripts served: copy, upstream, stale (the upstream failed), none (and no copy: 502)",
    ),
    "sgtm_script_upstream_failures_total": ("path", "fetches of a script that brought nothing usable"),
    "sgtm_deliveries_done_total": ("tag", "events that the vendor accepted"),
    "sgtm_deliveries_retried_total": ("tag", "attempts that failed and will be repeated"),
    "sgtm_egress_refused_total": ("rule", "connections that the egress door refused, by what the address is"),
    "sgtm_deliveries_dead_total": ("tag", "events given up: refused for good, or expired"),
}
