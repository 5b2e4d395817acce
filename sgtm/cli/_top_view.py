"""The frame of `sgtm top`: lines for a terminal of a given size, from what happened in an interval."""

from collections.abc import Iterable, Sequence

from sgtm.cli._interval import Interval
from sgtm.server.crew import Destination

BOLD, DIM, RED, YELLOW, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[33m", "\x1b[0m"
_UNITS = ("B", "KB", "MB", "GB", "TB")
_LEAST_WIDTH = 60
_TAGS = 8


def frame(over: Interval, width: int, height: int, *, colored: bool) -> list[str]:
    """At most `height` lines (0: any number) of at most `width` characters, colours apart."""
    width = max(width, _LEAST_WIDTH)
    parts = [_head(over), "", *_rates(over), "", *_destinations(over, width), "", *_tags(over)]
    parts += ["", *_workers(over)]
    lines = [_cut(line, width) for line in parts]
    lines = lines[:height] if height else lines
    return lines if colored else [_plain(line) for line in lines]


# -- parts ------------------------------------------------------------------------------------------


def _head(over: Interval) -> str:
    after = over.after
    ready = sum(worker.is_ready for worker in after.workers)
    should = len(after.workers) + after.missing
    started = over.now("process_start_time_seconds") or after.at_s
    names = {worker.container for worker in after.workers if worker.container}
    name = " ".join(sorted(names))
    workers = f"{ready} of {should} workers ready"
    state = workers if ready == should else f"{RED}{workers}{PLAIN}"
    about = f"container {_inert(name)} {after.version}".replace("  ", " ")
    return f"{BOLD}sgtm {after.release}{PLAIN}  {about}  up {duration(after.at_s - started)}  {state}"


def _rates(over: Interval) -> Iterable[str]:
    answers = over.rate("sgtm_answers_total")
    shares = " ".join(_share(over, status, answers) for status in ("2xx", "3xx", "4xx", "5xx"))
    yield _line("answers", _rate(answers), shares)
    times = " ".join(
        f"p{share:.0%}".rstrip("%") + f" {_time(over.quantile_s(share, 'sgtm_request_seconds'))}"
        for share in (0.5, 0.95, 0.99)
    )
    yield _line("within", times, f"{int(over.now('sgtm_connections') or 0):,} connections")
    lost = [("unclaimed", "sgtm_requests_unclaimed_total"), ("refused", "sgtm_requests_refused_total")]
    lost += [("dropped", "sgtm_requests_dropped_total"), ("repeated", "sgtm_events_repeated_total")]
    yield _line("events", _rate(over.rate("sgtm_events_total")), _named(over, lost))
    tags = [("blocked by consent", "sgtm_tags_blocked_total"), ("silent", "sgtm_tags_silent_total")]
    tags += [("held back", "sgtm_tags_held_back_total"), ("failed", "sgtm_tags_failed_total")]
    yield _line("fired", _rate(over.rate("sgtm_tags_fired_total")), _named(over, tags))
    sent = [("retried", "sgtm_deliveries_retried_total"), ("given up", "sgtm_deliveries_dead_total")]
    letters = int(over.now("sgtm_letters") or 0)
    kept = f"{RED if letters else ''}{letters:,} dead letters{PLAIN if letters else ''}"
    yield _line("delivered", _rate(over.rate("sgtm_deliveries_done_total")), f"{_named(over, sent)}  {kept}")
    yield _line("outbox", f"{int(over.now('sgtm_outbox_records') or 0):,} records", _outbox(over))
    cpu = over.rate("process_cpu_seconds_total")
    memory = size(over.now("process_resident_memory_bytes") or 0.0)
    lag = _time(over.now("sgtm_event_loop_lag_seconds"))
    yield _line("server", f"{cpu:.2f} cores", f"{memory} of memory  event loop late by {lag}")


def _outbox(over: Interval) -> str:
    used, budget = over.now("sgtm_outbox_bytes") or 0.0, over.now("sgtm_outbox_budget_bytes") or 0.0
    full_in, free = over.now("sgtm_outbox_full_in_seconds"), over.now("sgtm_disk_free_bytes")
    said = [
        f"{size(used)} of {size(budget)}",
        f"oldest {duration(over.now('sgtm_outbox_oldest_seconds') or 0)}",
    ]
    said += [f"{RED}full in {duration(full_in)}{PLAIN}"] if full_in is not None else []
    said += [f"{size(free)} free on the disk"] if free is not None else []
    return "  ".join(said)


def _destinations(over: Interval, width: int) -> Iterable[str]:
    rows = sorted(over.after.destinations, key=lambda one: (one.is_well, -one.queued, one.destination))
    before = {(one.destination, one.credential): one for one in over.before.destinations}
    yield _row(("destination", "state", "done/s", "failed", "p95", "queued", "flying", "oldest", ""), BOLD)
    for one in rows:
        earlier = before.get((one.destination, one.credential))
        yield from _destination(over, one, earlier, width)
    if not rows:
        yield f"{DIM}  nothing was sent yet{PLAIN}"


def _destination(over: Interval, one: Destination, earlier: Destination | None, width: int) -> Iterable[str]:
    done = one.done - (earlier.done if earlier is not None else 0)
    failed = one.failed - (earlier.failed if earlier is not None else 0)
    share = f"{failed / (done + failed):.0%}" if done + failed else "-"
    time = _time(over.quantile_s(0.95, "sgtm_delivery_seconds", one.destination))
    color = "" if one.is_well else RED if one.state == "shut" else YELLOW
    state = one.state if one.is_well or one.state == "shut" else "refuses"
    name = f"{one.destination} {one.credential}".strip()
    cells = (name, state, _number(done / over.seconds), share, time, f"{one.queued:,}", f"{one.in_flight:,}")
    # what waits in the outbox is as old as the metric says
    oldest = max(one.oldest_s, over.now("sgtm_lane_oldest_seconds", one.destination) or 0.0)
    yield _row((*cells, duration(oldest) if oldest else "-", ""), color)
    if one.last_error and (failed or not one.is_well):
        refused = f" (tags: {', '.join(one.refused_tags)})" if one.refused_tags else ""
        said = f"  {one.last_error}{refused}, {duration(one.last_error_s)} ago"
        yield f"{DIM}{_inert(said)[:width]}{PLAIN}"


def _tags(over: Interval) -> Iterable[str]:
    rates = {tag: over.rate("sgtm_tags_fired_total", tag) for tag in over.labels("sgtm_tags_fired_total")}
    busiest = sorted(rates, key=lambda tag: (-rates[tag], tag))[:_TAGS]
    yield _row(("tag", "fired/s", "done/s", "retried", "failed", "requests", "bytes/s", "held", ""), BOLD)
    for tag in busiest:
        of = [f"sgtm_{what}_total" for what in ("deliveries_done", "deliveries_retried", "tags_failed")]
        cells = [_number(rates[tag]), *(_number(over.rate(name, tag)) for name in of)]
        cells += [f"{_number(over.rate('sgtm_vendor_requests_total', tag))}/s"]
        cells += [size(over.rate("sgtm_vendor_request_bytes_total", tag))]
        held = int(over.now("sgtm_deliveries_held", tag) or 0)
        yield _row((tag, *cells, f"{held:,}" if held else "-", ""), YELLOW if held else "")
    if len(rates) > len(busiest):
        yield f"{DIM}  and {len(rates) - len(busiest)} tags more{PLAIN}"


def _workers(over: Interval) -> Iterable[str]:
    yield _row(("worker", "pid", "open", "pending", "up", "", "", "", ""), BOLD)
    for one in over.after.workers:
        why = "" if one.is_ready else f"not ready: {', '.join(one.because)}"
        cells = (
            f"slot {one.slot}",
            str(one.pid),
            f"{one.connections:,}",
            f"{one.pending:,}",
            duration(one.age_s),
        )
        yield _row((*cells, "", "", "", ""), RED if why else "") + _inert(why)
    if over.after.missing:
        yield f"{RED}  {over.after.missing} do not answer{PLAIN}"


# -- words ------------------------------------------------------------------------------------------


def _line(what: str, first: str, rest: str) -> str:
    return f"{BOLD}{what:<10}{PLAIN} {first:<32} {rest}"


def _named(over: Interval, names: Sequence[tuple[str, str]]) -> str:
    return "  ".join(f"{_number(over.rate(name))} {what}" for what, name in names)


def _share(over: Interval, status: str, answers: float) -> str:
    rate = over.rate("sgtm_answers_total", ends=f"/{status}")
    share = f"{status} {rate / answers:.1%}" if answers else f"{status} -"
    return f"{RED}{share}{PLAIN}" if status == "5xx" and rate else share


def _row(cells: Sequence[str], color: str = "") -> str:
    name, *numbers = cells
    text = f"{_inert(name)[:38]:<38} " + " ".join(f"{cell:>9}" for cell in numbers)
    return f"{color}{text.rstrip()}{PLAIN if color else ''} "


def _rate(rate: float) -> str:
    return f"{_number(rate)}/s"


def _number(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 or number == int(number) else f"{number:.1f}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds == float("inf"):
        return "> 10 s"
    return (
        f"{seconds * 1000:.1f} ms"
        if seconds < 0.1
        else f"{seconds * 1000:.0f} ms"
        if seconds < 1
        else f"{seconds:.1f} s"
    )


def duration(seconds: float) -> str:
    """A length of time in one unit or two."""
    seconds = max(0, seconds)
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86_400
    return f"{minutes:.0f} min" if minutes < 120 else f"{hours:.1f} h" if hours < 48 else f"{days:.1f} d"


def size(number: float) -> str:
    """Bytes in a unit that is easy to read."""
    unit = 0
    while number >= 1000 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.0f} {_UNITS[unit]}" if not unit or number >= 100 else f"{number:.1f} {_UNITS[unit]}"


def _inert(text: str) -> str:
    """Nothing that was sent may steer the terminal (SPEC: reliability 5 rule 7)."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _pieces(line: str) -> Iterable[tuple[str, bool]]:
    """A line in colours and texts, in turn."""
    rest = line
    while rest:
        begin = rest.find("\x1b")
        if begin < 0:
            yield rest, False
            return
        if begin:
            yield rest[:begin], False
        end = rest.index("m", begin) + 1
        yield rest[begin:end], True
        rest = rest[end:]


def _plain(line: str) -> str:
    return "".join(text for text, is_color in _pieces(line) if not is_color).rstrip()


def _cut(line: str, width: int) -> str:
    """The first `width` characters that are seen, with all colours."""
    left, kept = width, []
    for text, is_color in _pieces(line):
        kept.append(text if is_color else text[:left])
        left -= 0 if is_color else len(text[:left])
    return "".join(kept)
