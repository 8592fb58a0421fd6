"""Which form the graph of a bundle has: the recipe's, else the profile's; and what does not go with it."""

from __future__ import annotations

from typing import Literal

from edgebert.errors import SettingsError
from edgebert.recipe import Recipe
from edgebert.runtime.session import CPU
from edgebert.runtimes import FORMATS, AskedPrecision
from edgebert.target import Target

# What no INT8 arithmetic is in, as a message calls it.
FLOAT_FORMS = {"none": "FP32", "fp16": "FP16", "weights": "weight-only INT8, which computes FP32"}
# `--precision` of a checkpoint, and the form of each.
OF_CHECKPOINTS: dict[AskedPrecision, Literal["profile", "weights", "none"]] = {
    "int8": "profile",
    "int8-weights": "weights",
    "fp32": "none",
}


def quantization(recipe: Recipe, target: Target) -> str:
    """`dynamic`, `static`, `weights`, `fp16`, `none` or `measure`: what the recipe says, else what the profile says.

    Raises:
        SettingsError: Training for INT8 where there is none, static INT8 of a plain graph, measuring here for what
            does not run on a CPU, or weight-only INT8 with what it cannot have.
    """
    choice = target.export
    form: str = recipe.quantize.format
    if form == "measure" and choice.provider != CPU:
        raise SettingsError(
            f'quantize.format "measure" times on this machine\'s CPU, but profile {target.name} runs on '
            f"{choice.provider}; set quantize.format to profile, fp16, static or none"
        )
    if form == "profile":
        form = {"fp32": "none", "fp16": "fp16", "int8": choice.format}[choice.precision]
    if form == "static" and recipe.export.graph == "plain":
        raise SettingsError(
            'static INT8 is made of the rewritten graph, but export.graph is "plain"; set export.graph = "fast", or '
            "quantize.format to dynamic"
        )
    if form == "weights":
        _check_weights_alone(recipe, target)
    if recipe.quantize.recover and form in FLOAT_FORMS:
        raise SettingsError(
            f"[quantize.recover] trains for INT8, but the export is {FLOAT_FORMS[form]}; "
            "leave the table out, or set quantize.format to static or dynamic"
        )
    return form


def _check_weights_alone(recipe: Recipe, target: Target) -> None:
    """Refuse weight-only INT8 on a GPU, with smoothing, and for a runtime that has INT8 arithmetic alone.

    Raises:
        SettingsError: Names which.
    """
    provider = target.export.provider
    if provider != CPU:
        raise SettingsError(
            f"weight-only INT8 is for CPUs, but profile {target.name} runs on {provider}; leave quantize.format "
            "(--precision) to the profile, or set fp16"
        )
    if recipe.quantize.smooth:
        raise SettingsError(
            f"quantize.smooth is {recipe.quantize.smooth:g}, which moves outliers of activations into the weights, but "
            "weight-only INT8 leaves activations in FP32; leave it out"
        )
    if integer := [name for name in recipe.export.formats if FORMATS[name].int8_only]:
        raise SettingsError(
            f"export.formats holds {', '.join(integer)}, which computes INT8, but weight-only INT8 computes FP32; "
            "leave it out, or set quantize.format to profile or dynamic (--precision int8)"
        )
