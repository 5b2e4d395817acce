"""Prometheus text of what all workers counted: sums and maxima, as `names.py` declares them.

SPEC: reliability 6, metrics. Every declared metric is there from the start: a counter without a
label at 0; one with a label at 0 too, as a series without that label, which stays 0 and does no harm
to any sum. (https://prometheus.io/docs/instrumenting/exposition_formats/)
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from sgtm.observability.names import GAUGES, HISTOGRAMS, METRICS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Values = dict[tuple[str, str], float]

_PARTS = frozenset(f"{name}_{part}" for name in HISTOGRAMS for part in ("bucket", "sum", "count"))
"""Names under which histograms are said."""


class Sample(Struct, array_like=True, frozen=True):
    """One value of a metric; `label` is the value of its label, as `names.py` names it."""

    name: str
    label: str
    value: float


def only_grows(name: str) -> bool:
    """Whether what is said under this name counts on when its worker is no more."""
    return name.endswith("_total") or name in _PARTS


def merge(parts: Iterable[Iterable[Sample]]) -> Values:
    """One value for each metric and label: the sum over `parts`, or the largest or smallest where
    `names.py` says so. What is not declared here (a newer worker's) is left out."""
    values: Values = {}
    for part in parts:
        for name, label, value in ((one.name, one.label, one.value) for one in part):
            key = (name, label)
            if name in METRICS or name in _PARTS or (name in GAUGES and GAUGES[name].merge == "sum"):
                values[key] = values.get(key, 0) + value
            elif name in GAUGES:
                pick = min if GAUGES[name].merge == "min" else max
                values[key] = pick(values.get(key, value), value)
    return values


def render(values: Mapping[tuple[str, str], float]) -> str:
    """The text that Prometheus scrapes."""
    by_name: dict[str, list[tuple[str, float]]] = {name: [] for name in (*METRICS, *GAUGES, *_PARTS)}
    for (name, label), value in values.items():
        by_name[name].append((label, value))
    lines: list[str] = []
    for name, (label, meaning) in METRICS.items():
        samples = dict(by_name[name])
        samples.setdefault("", 0)
        lines += _metric(name, label, "counter", meaning, sorted(samples.items()))
    for name, (label, meaning) in HISTOGRAMS.items():
        lines += _histogram(name, label, meaning, by_name)
    for name, gauge in GAUGES.items():
        kind = "counter" if name.endswith("_total") else "gauge"
        lines += _metric(name, gauge.label, kind, gauge.meaning, sorted(by_name[name]))
    return "\n".join(lines) + "\n"


def _metric(
    name: str, label: str, kind: str, meaning: str, samples: list[tuple[str, float]]
) -> Iterable[str]:
    yield from _head(name, kind, meaning)
    yield from _lines(name, label, samples)


def _histogram(
    name: str, label: str, meaning: str, by_name: Mapping[str, list[tuple[str, float]]]
) -> Iterable[str]:
    """The buckets from the lowest on, then sum and count."""
    buckets = sorted(by_name[f"{name}_bucket"], key=lambda sample: _bucket_order(sample[0]))
    yield from _head(name, "histogram", meaning)
    yield from _lines(f"{name}_bucket", f"{label}/le" if label else "le", buckets)
    for part in ("sum", "count"):
        yield from _lines(f"{name}_{part}", label, sorted(by_name[f"{name}_{part}"]))


def _bucket_order(label: str) -> tuple[str, float]:
    of, _, bound = label.rpartition("/")
    return of, float(bound)


def _head(name: str, kind: str, meaning: str) -> Iterable[str]:
    yield f"# HELP {name} {_escaped(meaning, quote=False)}"
    yield f"# TYPE {name} {kind}"


def _lines(name: str, label: str, samples: Iterable[tuple[str, float]]) -> Iterable[str]:
    for value_of_label, value in samples:
        yield f"{name}{_labels(label, value_of_label)} {_number(value)}"


def _labels(names: str, values: str) -> str:
    """`tag/key` are two labels; a tag's name may have slashes, a key has none."""
    if not names or not values:
        return ""
    several = names.split("/")
    parts = values.rsplit("/", len(several) - 1)
    pairs = zip(several, parts, strict=False)
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs) + "}"


def _escaped(text: str, *, quote: bool = True) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quote else text


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
