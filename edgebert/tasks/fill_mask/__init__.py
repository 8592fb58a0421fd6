"""Fill in masked tokens: its spec, its device side and its training side."""
