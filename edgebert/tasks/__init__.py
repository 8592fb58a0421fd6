"""Every task, in a folder of its own: `spec.py` (names, settings, data), `predict.py` (numpy), `train.py` (torch)."""
