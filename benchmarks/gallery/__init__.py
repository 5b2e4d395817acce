"""Public gallery templates: our engine beside QuickJS-NG and Node. `python -m benchmarks.gallery FOLDER`."""
