"""File and folder names that an export uses for its stages."""

from __future__ import annotations

# In every folder of a finished stage: the inputs of its key.
STAGE_KEY = "stage-key.json"
# In the folder of finished stages: the bundle of the same model before INT8.
FULL_PRECISION = "edgebert-full-precision"
BASELINE, FAST = "0-baseline", "1-graph"
# Names of the other steps, by the stage that made their models.
NAMES = {
    "distill": "2-distill",
    "recover": "3-prune",
    "vocabulary": "4-vocabulary",
    "recover-vocabulary": "4-vocabulary",
    "quantization-aware": "5-quantization-aware",
}
STAGES = (BASELINE, FAST, *dict.fromkeys(NAMES.values()))
