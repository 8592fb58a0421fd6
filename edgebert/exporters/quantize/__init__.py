"""Workstation half: INT8 passes over graphs. Needs the `export` extra, and `nncf` or `neural-compressor`."""
