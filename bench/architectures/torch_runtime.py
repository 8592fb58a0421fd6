"""PyTorch: transformers' own modules, with a minimal greedy loop over their cache.

A runtime is a function `(ids, job, mark, logits)` that returns the label's ids. It calls `mark` when a label token (for
an encoder, the whole answer) is known. If `logits` is a list, it appends the logits to it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.architectures import models
from bench.architectures.jobs import Job

Answer = Callable[..., list[int]]


def open_model(architecture: str, folder: Path, job: Job, threads: int = 1) -> Answer:
    """Load the checkpoint for a job."""
    import torch
    import transformers

    torch.set_num_threads(threads)
    name = models.class_name(architecture, job.tags)
    checkpoint = folder / ("torch-tag" if architecture == models.ENCODER and job.tags else "torch")
    model = getattr(transformers, name).from_pretrained(checkpoint, dtype=torch.float32).eval()
    return over(architecture, model)


def over(architecture: str, model: Any) -> Answer:
    """Make the runtime from a model that is already in memory."""
    import torch

    run = {models.ENCODER: _encoder, models.DECODER: _decoder}.get(architecture, _encoder_decoder)

    def answer(
        ids: np.ndarray, job: Job, mark: Callable[[], None], logits: list[np.ndarray] | None = None
    ) -> list[int]:
        with torch.inference_mode():
            return run(model, torch.from_numpy(ids), job, mark, logits)

    return answer


def _encoder(model: Any, ids: Any, job: Job, mark: Callable[[], None], logits: list[Any] | None) -> list[int]:
    import torch

    length = ids.shape[1]
    segments = (torch.arange(length) * job.segments // length)[None]
    scores = model(input_ids=ids, token_type_ids=segments).logits
    labels = scores.argmax(-1).reshape(-1).tolist()
    mark()
    if logits is not None:
        logits.append(scores.numpy())
    return labels


def _decoder(model: Any, ids: Any, job: Job, mark: Callable[[], None], logits: list[Any] | None) -> list[int]:
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)

    def step(token: Any) -> Any:
        return model(input_ids=token, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1]

    return _greedy(step, ids, job, mark, logits)


def _encoder_decoder(model: Any, ids: Any, job: Job, mark: Callable[[], None], logits: list[Any] | None) -> list[int]:
    import torch
    from transformers import DynamicCache, EncoderDecoderCache

    encoded = model.encoder(input_ids=ids)
    cache = EncoderDecoderCache(DynamicCache(config=model.config), DynamicCache(config=model.config))

    def step(token: Any) -> Any:
        given = {"encoder_outputs": encoded, "decoder_input_ids": token}
        return model(**given, past_key_values=cache, use_cache=True).logits[:, -1]

    start = torch.full((1, 1), model.config.decoder_start_token_id, dtype=torch.int64)
    return _greedy(step, start, job, mark, logits)


def _greedy(
    step: Callable[[Any], Any], first: Any, job: Job, mark: Callable[[], None], logits: list[Any] | None
) -> list[int]:
    """Generate greedily: take the most likely token until the job has all its tokens."""
    token, labels = first, []
    for _ in range(job.generated):
        scores = step(token)
        token = scores.argmax(-1, keepdim=True)
        labels.append(int(token))
        mark()
        if logits is not None:
            logits.append(scores.numpy())
    return labels
