"""All tasks, one folder each: `spec.py` (names, settings, data), `predict.py` (numpy), `train.py` (torch)."""
