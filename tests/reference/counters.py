"""Plain twin of sgtm/_fast/counters.pyx."""

from bisect import bisect_left


class Histogram:
    """See counters.pyi."""

    def __init__(self, bounds):
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum_s = 0.0

    def observe(self, seconds):
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum_s += seconds


class Counts:
    """See counters.pyi."""

    def __init__(self, values, histograms):
        self.values, self.histograms = values, histograms

    def add(self, name, label="", amount=1):
        counts = self.values[name]
        if label not in counts:
            label = self.label_of(name, label)
        counts[label] = counts.get(label, 0) + amount

    def observe(self, name, seconds, label=""):
        histograms = self.histograms[name]
        one = histograms[label] if label in histograms else self.histogram_of(name, label)
        one.observe(seconds)

    def label_of(self, name, label):
        raise NotImplementedError

    def histogram_of(self, name, label):
        raise NotImplementedError
