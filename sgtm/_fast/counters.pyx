# Counts by metric name and label, and histograms. What it promises stands in counters.pyi.
#
# PERF: a hit with two vendors counts some twenty things.

DEF BOUNDS = 32  # the most buckets that a histogram has


cdef class Histogram:
    cdef double bounds[BOUNDS]
    cdef readonly list counts
    cdef readonly double sum_s

    def __init__(self, tuple bounds not None):
        if len(bounds) > BOUNDS:
            raise ValueError(f"a histogram has at most {BOUNDS} bounds")
        for index, bound in enumerate(bounds):
            self.bounds[index] = bound
        self.counts = [0] * (len(bounds) + 1)
        self.sum_s = 0.0

    cdef int observe(self, double seconds) except -1:
        cdef Py_ssize_t bucket = 0, last = len(self.counts) - 1
        while bucket < last and self.bounds[bucket] < seconds:
            bucket += 1
        self.counts[bucket] += 1
        self.sum_s += seconds
        return 0


cdef class Counts:
    cdef readonly dict values
    cdef readonly dict histograms

    def __init__(self, dict values not None, dict histograms not None):
        self.values, self.histograms = values, histograms

    def add(self, str name not None, str label not None="", amount=1):
        cdef dict counts = self.values[name]
        count = counts.get(label)
        if count is None:
            label = self.label_of(name, label)
            count = counts.get(label, 0)
        counts[label] = count + amount

    def observe(self, str name not None, double seconds, str label not None=""):
        cdef dict histograms = self.histograms[name]
        one = histograms.get(label)
        if one is None:
            one = self.histogram_of(name, label)
        (<Histogram?> one).observe(seconds)

    def label_of(self, name, label):
        raise NotImplementedError

    def histogram_of(self, name, label):
        raise NotImplementedError
