"""A guard over INT8: the matrix products that it hurts most stay in full precision until the quality holds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgebert.compress.progress import progress
from edgebert.errors import RunError
from edgebert.strict_json import Json


@dataclass(frozen=True)
class Guard:
    """How to make an INT8 graph, and how good one is.

    Attributes:
        products: Every product that is quantized: its node, and what a reader may call it.
        make: Write an INT8 graph that leaves some nodes in full precision.
        trial: The same with full-precision tables, and perhaps in less time: good enough to order the products by.
        quality: A graph's metric on the validation split; higher is better.
        error: How far a graph's outputs are from full precision's; 0 where they are the same.
        max_drop: Quality that may be lost, in the metric's own unit.
        embeddings: Whether the word tables are INT8 too, whatever products are.
    """

    products: Mapping[str, str]
    make: Callable[[Collection[str], Path], None]
    trial: Callable[[Collection[str], Path], None]
    quality: Callable[[Path], float]
    error: Callable[[Path], float]
    max_drop: float
    embeddings: bool = True

    def run(self, full: Path, out: Path) -> dict[str, Json]:
        """Write the INT8 graph with the fewest products in full precision whose quality holds.

        The products are ordered by the error of a graph in which each alone is INT8 (one at a time, as in HAWQ's and
        ONNX Runtime's own sensitivity studies), and go back to full precision from the worst on.

        Args:
            full: The full-precision graph.
            out: File for the INT8 graph.

        Returns:
            For the manifest: `max_drop`, the `quality` of full precision and of INT8, the products that were `kept`
            with all that was `tried` on the way, and the `cost` of each product where that had to be found out.

        Raises:
            RunError: Not even a graph of full-precision products holds.
        """
        full_precision = self.quality(full)
        least = full_precision - self.max_drop
        self.make((), out)
        tried = [{"kept": 0, "quality": self.quality(out)}]
        report: dict[str, Json] = {"max_drop": self.max_drop, "full_precision": full_precision}
        report |= {"kept": [], "tried": tried}
        if tried[0]["quality"] >= least:
            return report
        costs = self._costs(out)
        report["cost"] = [{"product": self.products[node], "error": cost} for node, cost in costs.items()]
        worst = list(costs)
        for count in range(1, len(worst) + 1):
            self.make(worst[:count], out)
            tried.append({"kept": count, "quality": self.quality(out)})
            if tried[-1]["quality"] >= least:
                report["kept"] = [self.products[node] for node in worst[:count]]
                return report
        what = "INT8 embeddings alone bring" if self.embeddings else "Even full-precision products bring"
        remedy = 'quantize.embeddings = "fp32" or ' if self.embeddings else ""
        raise RunError(
            f"{what} the quality from {full_precision:.4f} to {tried[-1]['quality']:.4f}, more than "
            f"quantize.max_drop {self.max_drop} allows; set {remedy}a larger max_drop"
        )

    def _costs(self, out: Path) -> dict[str, float]:
        """Error of every product alone, the largest first; `out` is written over."""
        found = {}
        for node in progress(list(self.products), desc="sensitivity", unit="product"):
            self.trial([other for other in self.products if other != node], out)
            found[node] = round(self.error(out), 6)
        return dict(sorted(found.items(), key=lambda item: -item[1]))
