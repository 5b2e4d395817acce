"""The archive: records that owe nothing any more, kept for a while to be run again.

    <data_folder>/archive/slot-0/   1764000000000000-4711-9f3c.segment  written by one process and never added
                                    to by another; the oldest go, by time and by size

segment.py    what stands in one file: frames of compressed records that survive each other's damage
keeping.py    writes them (synced before the outbox lets go of the records) and deletes what is too old
buffer.py     on the way to it, for an engine without a writer thread
reading.py    reads those of all slots, also while they are written

A record may stand in it twice, where a commit failed after it was archived: whoever reads counts it once
(SPEC: design.md Delivery; reliability 1.3).
"""
