"""Multi-label classification: its spec, its device side and its training side."""
