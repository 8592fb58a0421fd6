"""Extractive question answering: its spec, its device side and its training side."""
