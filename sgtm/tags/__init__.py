"""Tags: event -> TagResult. Pure: no I/O, no clock, no chance."""
