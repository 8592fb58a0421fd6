"""The one training loop: transformers' Trainer with length-grouped batches, early stopping and exact resume."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import Sampler
from transformers import Trainer, TrainerCallback, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from edgebert.compress import distributed, resume
from edgebert.compress.batch import Collate, pad_batch
from edgebert.compress.data import EncodedRows
from edgebert.compress.dropout import QuickDropout
from edgebert.compress.progress import progress
from edgebert.compress.report import ADVICE
from edgebert.compress.shortfalls import Record, Standard, shortfalls
from edgebert.recipe import TrainSettings
from edgebert.strict_json import Json

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tqdm import tqdm
    from transformers import PreTrainedModel, TrainerControl

LossFunction: TypeAlias = "Callable[[PreTrainedModel, dict[str, Tensor]], Tensor]"


@dataclass(frozen=True)
class Training:
    """What a training run needs besides the model: data, settings, metric, seed and where its checkpoints lie.

    `validate` gives the metric of the model that it is handed, `collate` makes a batch of rows, `standard` is what the
    training is held to. At `until` (`time.monotonic`) it stops; None is no limit.
    """

    title: str
    train: EncodedRows
    validate: Callable[[PreTrainedModel], float]
    settings: TrainSettings
    metric: str
    seed: int
    folder: Path
    pad_id: int = 0
    collate: Collate = pad_batch
    standard: Standard | None = None
    until: float | None = None


def train(model: PreTrainedModel, training: Training, loss: LossFunction) -> dict[str, Json]:
    """Train in place and leave the model with the weights of its best evaluation.

    Continues from the newest whole checkpoint in the folder, with the same result as an uninterrupted run. Under
    `torchrun` or `accelerate launch` the batch is shared out over the processes.

    Args:
        model: The model to train.
        training: Data, settings and place.
        loss: Loss of a model on a batch.

    Returns:
        Steps done, the validation metric of the weights that were kept, and what the training lacked, if anything.
    """
    last = distributed.from_main(partial(resume.newest_whole, training.folder, training.title))
    # Made even if nothing is left to train: the Trainer leaves its marks in the model's config.
    trainer = _trainer(model, training, loss)
    state = TrainerState.load_from_json(str(last / resume.STATE)) if last else None
    if state is not None and _is_over(state, training):
        _load_best(model, state, training)
    else:
        with nullcontext() if torch.cuda.is_available() else QuickDropout():
            trainer.train(resume_from_checkpoint=str(last) if last else None)
        state = trainer.state
    best = round(float(state.best_metric or 0.0), 6)
    figures: dict[str, Json] = {"steps": float(state.global_step), f"validation_{training.metric}": best}
    lacks = _lacks(state, training, best)
    return {**figures, ADVICE: lacks} if lacks else figures


def _lacks(state: TrainerState, training: Training, best: float) -> list[str]:
    if training.standard is None:
        return []
    done, steps = state.global_step, _steps(training)
    record = Record.of(state.log_history, training.metric, done, done < steps)
    lines = shortfalls(record, training.standard, best)
    if done < steps and not _out_of_patience(state, training):
        lines.append(f"stopped by the budget at step {done:,} of {steps:,}, with its best evaluation; raise --budget")
    return lines


def _trainer(model: PreTrainedModel, training: Training, loss: LossFunction) -> _Trainer:
    trainer = _Trainer(
        model=model,
        args=_arguments(training),
        train_dataset=training.train,
        # Asked for by the Trainer; our evaluate() reads the rows that `validate` holds.
        eval_dataset=training.train,
        data_collator=lambda items: training.collate(items, training.pad_id),
        callbacks=[
            _ProgressBar(training.title, training.metric),
            _Checkpoints(training),
            _EarlyStop(training),
            _Deadline(training),
        ],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.loss_function, trainer.training = loss, training
    return trainer


def _is_over(state: TrainerState, training: Training) -> bool:
    """Whether training had ended at this state.

    The Trainer itself would take one more step, evaluate there, and forget that patience had run out.
    """
    return state.global_step >= _steps(training) or _out_of_patience(state, training)


def _load_best(model: PreTrainedModel, state: TrainerState, training: Training) -> None:
    """Load the weights that the Trainer would have loaded at the end."""
    step = state.best_global_step or state.global_step
    weights = load_file(resume.at(training.folder, step) / "model.safetensors")
    model.load_state_dict(weights, strict=False)


def _out_of_patience(state: TrainerState, training: Training) -> bool:
    """Whether the metric has not risen for `patience` evaluations, by the history that every checkpoint keeps."""
    figures = [entry[f"eval_{training.metric}"] for entry in state.log_history if f"eval_{training.metric}" in entry]
    best, since = float("-inf"), 0
    for at, figure in enumerate(figures):
        best, since = (figure, 0) if figure > best or at == 0 else (best, since + 1)
    return 0 < training.settings.numbers.patience <= since


def uses_bf16(settings: TrainSettings) -> bool:
    """Whether a training multiplies in bfloat16: as its settings say, or by what this machine has."""
    return settings.precision == "bf16" or (settings.precision == "auto" and has_bf16())


def has_bf16() -> bool:
    """Whether this machine multiplies bfloat16 in hardware."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return any(flag in flags for flag in ("avx512_bf16", "amx_bf16", " bf16 "))


class LengthGroupedSampler(Sampler[int]):
    """Order that puts texts of like length into one batch, drawn from seed and epoch alone, so a resume repeats it."""

    def __init__(self, lengths: list[int], batch_size: int, seed: int, batches_per_pool: int = 50) -> None:
        """Keep the lengths in tokens; texts are sorted inside pools of `batches_per_pool` batches."""
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.pool = batch_size * batches_per_pool
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order is drawn next."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Number of texts."""
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        """Indices in the order of this epoch."""
        random = np.random.default_rng((self.seed, self.epoch))
        order = random.permutation(len(self.lengths))
        batches: list[NDArray[np.int64]] = []
        for start in range(0, len(order), self.pool):
            pool = order[start : start + self.pool]
            pool = pool[np.argsort(self.lengths[pool], kind="stable")]
            batches += [pool[at : at + self.batch_size] for at in range(0, len(pool), self.batch_size)]
        # The short last batch stays last: every process must see batches of one size until then.
        short = [batch for batch in batches if len(batch) < self.batch_size]
        full = [batch for batch in batches if len(batch) == self.batch_size]
        random.shuffle(full)
        return iter([int(index) for batch in full + short for index in batch])


class _Trainer(Trainer):  # type: ignore[misc]
    """Trainer with a loss function of our choosing, the task's own evaluation and our resumable batch order."""

    loss_function: LossFunction
    training: Training
    control: TrainerControl

    def compute_loss(
        self,
        model: PreTrainedModel,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor | tuple[Tensor, None]:
        loss = self.loss_function(model, inputs)
        return (loss, None) if return_outputs else loss

    def evaluate(self, *args: object, **kwargs: object) -> dict[str, float]:
        # Every process scores all rows: the same figure everywhere, and no gathering of uneven outputs.
        with self.compute_loss_context_manager():
            figure = self.training.validate(self.accelerator.unwrap_model(self.model))
        metrics = {f"eval_{self.training.metric}": figure}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _get_train_sampler(self, train_dataset: object = None) -> Sampler[int]:
        rows = self.train_dataset.rows
        together = self.args.train_batch_size * max(1, self.args.world_size)
        return LengthGroupedSampler([len(row.ids) for row in rows], together, self.args.seed)


class _Checkpoints(TrainerCallback):  # type: ignore[misc]
    """Moves every checkpoint to its place once all processes have written their part of it."""

    def __init__(self, training: Training) -> None:
        self.folder = training.folder

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        self._name_best(state)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        # A run that continues here has logged the same losses as one that was not interrupted.
        control.should_log = control.should_log or control.should_evaluate

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        distributed.wait()
        if state.is_world_process_zero:
            resume.keep(self.folder, state.global_step)
        distributed.wait()
        self._name_best(state)

    def _name_best(self, state: TrainerState) -> None:
        # The state names a folder that it was saved in, which has been moved since.
        if state.best_global_step:
            state.best_model_checkpoint = str(resume.at(self.folder, state.best_global_step))


class _EarlyStop(TrainerCallback):  # type: ignore[misc]
    """Ends training when patience has run out; the Trainer's own callback forgets its count on resuming."""

    def __init__(self, training: Training) -> None:
        self.training = training

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        if _out_of_patience(state, self.training):
            control.should_training_stop = True


class _Deadline(TrainerCallback):  # type: ignore[misc]
    """Ends training, after one more evaluation, when its time is over."""

    def __init__(self, training: Training) -> None:
        self.until = training.until

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        if self.until is not None and time.monotonic() >= self.until:
            control.should_evaluate = control.should_save = control.should_training_stop = True


class _ProgressBar(TrainerCallback):  # type: ignore[misc]
    """Progress on stderr: stage, steps, time left, last loss and metric."""

    def __init__(self, title: str, metric: str) -> None:
        self.title = title
        self.key = f"eval_{metric}"
        self.bar: tqdm | None = None
        self.shown: dict[str, str] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        if state.is_world_process_zero:
            self.bar = progress(desc=self.title, total=state.max_steps, initial=state.global_step, unit="step")

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        if self.bar is not None:
            self.bar.update(state.global_step - self.bar.n)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: object,
    ) -> None:
        logs = logs or {}
        if "loss" in logs:
            self.shown["loss"] = f"{float(logs['loss']):.3f}"
        if self.key in logs:
            self.shown[self.key.removeprefix("eval_")] = f"{float(logs[self.key]):.4f}"
        if self.bar is not None:
            self.bar.set_postfix(self.shown, refresh=False)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        if self.bar is not None:
            self.bar.close()


def _arguments(training: Training) -> TrainingArguments:
    settings, numbers = training.settings, training.settings.numbers
    processes = distributed.world_size()
    total, per_epoch = _steps(training), _steps_per_epoch(training)
    every = max(1, min(total, math.ceil(per_epoch / numbers.evaluations_per_epoch)))
    return TrainingArguments(
        output_dir=str(training.folder / resume.UNFINISHED),
        max_steps=total,
        per_device_train_batch_size=max(1, numbers.batch_size // processes),
        learning_rate=numbers.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=math.ceil(total * numbers.warmup_share),
        weight_decay=numbers.weight_decay,
        max_grad_norm=numbers.max_grad_norm,
        bf16=uses_bf16(settings),
        optim="adamw_torch_fused",
        seed=training.seed,
        data_seed=training.seed,
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        load_best_model_at_end=True,
        metric_for_best_model=training.metric,
        greater_is_better=True,
        # At least six times, so that the thirds of a short training can be compared.
        logging_steps=max(1, min(50, total // 6)),
        use_cpu=not torch.cuda.is_available(),
        ddp_backend=_ddp_backend(processes),
        ddp_find_unused_parameters=processes > 1,
        disable_tqdm=True,
        report_to="none",
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def _steps(training: Training) -> int:
    return max(1, math.ceil(_steps_per_epoch(training) * training.settings.numbers.epochs))


def _steps_per_epoch(training: Training) -> int:
    return math.ceil(len(training.train) / training.settings.numbers.batch_size)


def _ddp_backend(processes: int) -> str | None:
    if processes == 1:
        return None
    return "nccl" if torch.cuda.is_available() else "gloo"
