"""What is usually quoted, and whether a measured ratio bears it out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bench.architectures import models
from edgebert.measure.statistics import Ratio

LATENCY, MEMORY = "latency", "peak memory"


@dataclass(frozen=True)
class Claim:
    """A quoted range of another architecture's figure over the encoder's.

    Attributes:
        said: As it is usually put.
        quantity: Latency or peak memory.
        architectures: What it is said of.
    """

    said: str
    quantity: str
    architectures: tuple[str, ...]
    low: float
    high: float


def less(percent: float) -> float:
    """The ratio that "so many percent less" means."""
    return 100 / (100 - percent)


DECODERS = (models.DECODER,)
ENCODER_DECODERS = (models.ENCODER_DECODER, models.ENCODER_DECODER_HALF)
CLAIMS = (
    Claim("a decoder takes 2.5 to 4.0 times as long", LATENCY, DECODERS, 2.5, 4.0),
    Claim("an encoder-decoder takes 3.2 to 5.0 times as long", LATENCY, ENCODER_DECODERS, 3.2, 5.0),
    Claim("an encoder takes 60 to 65% less memory", MEMORY, (*DECODERS, *ENCODER_DECODERS), less(60), less(65)),
)


def claim_of(quantity: str, architecture: str) -> Claim | None:
    """What is quoted of an architecture."""
    return next(
        (each for each in CLAIMS if quantity.startswith(each.quantity) and architecture in each.architectures), None
    )


def judged(claim: Claim, ratio: Ratio) -> str:
    """Where the measured interval lies beside the quoted range."""
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
    """A ratio beside its claim, where there is one."""
    claim = claim_of(quantity, architecture)
    if claim is None:
        return {}
    return {"claim": asdict(claim), "judged": judged(claim, ratio)}
