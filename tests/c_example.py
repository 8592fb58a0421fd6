"""Model files for the C example of `examples/c`."""

from pathlib import Path


def write_model(checkpoint: Path, task: str, file: Path, longest: int = 16) -> Path:
    """Make a model file from a checkpoint with the labels a and b."""
    from edgebert.compress.checkpoint import load_model
    from edgebert.exporters.core import CoreOrder, write_core
    from edgebert.exporters.inference import InferenceModel
    from edgebert.tasks.training_table import training_task

    training, model = training_task(task, {}), load_model(checkpoint, task, ["a", "b"]).eval()
    module = InferenceModel(model, training.head(model), training.rows, 1, longest).eval()
    write_core(module, CoreOrder(training.rows == "first", longest), file)
    return file
