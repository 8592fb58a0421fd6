"""What an export reads before its first stage: checkpoint, data, and the numbers that its recipe leaves out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from edgebert.compress import checkpoint
from edgebert.compress.cross_encoder import counts_settings
from edgebert.compress.data import TaskData, read_named_data
from edgebert.compress.fit import check_fit
from edgebert.compress.labels import with_own_values
from edgebert.compress.loaded import Loaded
from edgebert.compress.numbers import Ground, settled
from edgebert.compress.run import Run
from edgebert.compress.sentence_folder import encoder_folder, read_sentence_folder
from edgebert.compress.stated import (
    as_folder_says,
    as_head_says,
    as_long_as_trained,
    as_numbered,
    say_unread_settings,
    vector_width,
)
from edgebert.compress.tokenizer_file import check_first_segment, check_vocabulary, say_segments
from edgebert.compress.vector_modules import VectorModules, load_vector_modules
from edgebert.finished import Plan
from edgebert.recipe import Recipe
from edgebert.strict_json import Json


@dataclass(frozen=True)
class Prepared:
    """An export before its first stage.

    Attributes:
        asked: The recipe with what the checkpoint's folder states.
        recipe: The same with every number of its trainings.
        checkpoint: Folder of the encoder.
        run: Constants of the export.
        data: Rows and labels.
        vector_modules: Modules behind a sentence encoder's pooling.
        lack: What the checkpoint lacks of the task's head; "" for nothing.
        chosen: What was chosen for each training stage (`compress.numbers.choices`).
        ground: What numbers are chosen by; the rows are counted at the first call.
    """

    asked: Recipe
    recipe: Recipe
    checkpoint: Path
    run: Run
    data: TaskData
    vector_modules: VectorModules | None
    lack: str
    chosen: dict[str, dict[str, Json]]
    ground: Callable[[], Ground]

    @property
    def trains_teacher(self) -> bool:
        """Whether the checkpoint is fine-tuned."""
        settings = self.recipe.finetune
        enough = not self.lack and self.data.training_task.has_own_weights
        return not (settings is None or settings.when == "never" or (settings.when == "needed" and enough))


def prepare(plan: Plan) -> Prepared:
    """Read checkpoint and data, and check that they go together with the recipe.

    Raises:
        InputError: They do not.
    """
    given, recipe = checkpoint.resolve(plan.source), plan.recipe
    found = read_sentence_folder(given) if recipe.task == "similarity" else None
    recipe = as_folder_says(recipe, given, found)
    folder = encoder_folder(given)
    checkpoint.check_folder(folder)
    with_settings = counts_settings(given, recipe.task)
    if not with_settings:
        say_unread_settings(folder)
    loaded = Loaded(folder if with_settings else None)
    run = Run(recipe.task, recipe.metric, recipe.seed, recipe.data.max_length, loaded)
    tokenizer = run.loaded.tokenizer(folder)
    config = checkpoint.load_config(folder)
    check_vocabulary(folder, tokenizer, config.vocab_size)
    vector_modules, width = None, None
    if found is not None and found.steps:
        width = vector_width(folder, recipe, found)
        vector_modules = load_vector_modules(str(recipe.head["pooling"]), found.steps, found.places)
    check_fit(folder, recipe, width, tokenizer)
    replaced = recipe.finetune is not None and recipe.finetune.when == "always"
    own = head = None if replaced else checkpoint.head_labels(folder)
    if head is not None:
        recipe, head = as_numbered(recipe, head)
    recipe = as_long_as_trained(recipe, folder, head, with_settings)
    if head is not None:
        recipe = as_head_says(recipe, head, folder, tokenizer)
    data = read_named_data(recipe, plan.data_dir, head, plan.strict_labels, tokenizer)
    if own is not None and head != own and recipe.task in ("text-classification", "multi-label"):
        data = replace(data, labels=with_own_values(data.labels, own))
    say_segments(folder, tokenizer, config, data.graph_segments)
    if recipe.export.graph == "fast" and data.graph_segments == 1:
        check_first_segment(folder, tokenizer, config)
    if vector_modules is not None:
        extra = {"modules": [str(step) for step in vector_modules.steps], "width": width}
        data = replace(data, labels=replace(data.labels, extra=extra))
    lack = checkpoint.lack_of_head(folder, recipe.task, data.label_names, data.labels.config)
    ground = cache(partial(Ground.of, folder, data, run, has_new_head=bool(lack)))
    after, chosen = settled(recipe, ground)
    return Prepared(recipe, after, folder, run, data, vector_modules, lack, chosen, ground)
