"""Reranking: its spec, its device side and its training side."""
