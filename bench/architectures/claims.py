"""Commonly quoted ratios, and whether the measured ratios support them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bench.architectures import models
from edgebert.measure.statistics import Ratio

LATENCY, MEMORY = "latency", "peak memory"


@dataclass(frozen=True)
class Claim:
    """A quoted range of the ratio of another architecture to the encoder.

    Attributes:
        said: The usual wording of the claim.
        quantity: Latency or peak memory.
        architectures: The architectures that the claim is about.
    """

    said: str
    quantity: str
    architectures: tuple[str, ...]
    low: float
    high: float


def less(percent: float) -> float:
    """Convert "PERCENT less" to a ratio."""
    return 100 / (100 - percent)


DECODERS = (models.DECODER,)
ENCODER_DECODERS = (models.ENCODER_DECODER, models.ENCODER_DECODER_HALF)
CLAIMS = (
    Claim("a decoder takes 2.5 to 4.0 times as long", LATENCY, DECODERS, 2.5, 4.0),
    Claim("an encoder-decoder takes 3.2 to 5.0 times as long", LATENCY, ENCODER_DECODERS, 3.2, 5.0),
    Claim("an encoder takes 60 to 65% less memory", MEMORY, (*DECODERS, *ENCODER_DECODERS), less(60), less(65)),
)


def claim_of(quantity: str, architecture: str) -> Claim | None:
    """Find the claim about a quantity of an architecture."""
    return next(
        (each for each in CLAIMS if quantity.startswith(each.quantity) and architecture in each.architectures), None
    )


def judged(claim: Claim, ratio: Ratio) -> str:
    """Compare the measured interval with the quoted range."""
    if ratio.ci_low is None or ratio.ci_high is None:
        return "too few rounds"
    if ratio.ci_high < claim.low:
        return "less than quoted"
    if ratio.ci_low > claim.high:
        return "more than quoted"
    if claim.low <= ratio.ci_low and ratio.ci_high <= claim.high:
        return "as quoted"
    return "reaches across an end of the range"


def compared(quantity: str, architecture: str, ratio: Ratio) -> dict[str, Any]:
    """Return the claim about a ratio and whether the ratio supports it; empty if there is no claim."""
    claim = claim_of(quantity, architecture)
    if claim is None:
        return {}
    return {"claim": asdict(claim), "judged": judged(claim, ratio)}
