"""Run every process of the plan, and write its results after each process."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.architectures import models, tables
from bench.architectures.figures import Answer, figures, ratios
from bench.architectures.jobs import Job, jobs
from bench.architectures.plan import RUNTIMES, Case, Process, cases, processes
from edgebert.bundle import disk_errors
from edgebert.errors import RunError
from edgebert.measure.environment import environment
from edgebert.measure.progress import Step, Terminal, TimeLeft
from edgebert.measure.results import Case as ResultCase
from edgebert.measure.results import write_json
from edgebert.measure.thermal import STATE
from edgebert.measure.verdict import verdict

FORMAT, FORMAT_VERSION = "edgebert-architectures", 1
Child = Callable[[dict[str, Any]], Answer]


@dataclass(frozen=True)
class Settings:
    """What is measured, and how often.

    Attributes:
        rounds: Fresh processes per case for latency.
        memory_rounds: Fresh processes per case for memory.
        samples: Timed answers per process.
        slow_samples: Timed answers per process if the job generates more than a few tokens.
        warmup: Untimed answers before those, with at most a few label tokens.
    """

    architectures: tuple[str, ...] = models.ARCHITECTURES
    runtimes: tuple[str, ...] = RUNTIMES
    jobs: tuple[str, ...] = ("classify", "compare", "tag")
    rounds: int = 3
    memory_rounds: int = 3
    samples: int = 7
    slow_samples: int = 2
    warmup: int = 1
    threads: int = 1
    seed: int = 0
    tiny: bool = False


class Comparison:
    """A running comparison: its plan and the results so far."""

    def __init__(
        self, settings: Settings, prepared: list[dict[str, Any]], work: Path, out: Path, command: str, child: Child
    ) -> None:
        """Use the prepared files in `work`, which has one folder per architecture."""
        self.settings, self.work, self.out, self.child = settings, work, out, child
        self.jobs: dict[str, Job] = {job.name: job for job in jobs(settings.tiny) if job.name in settings.jobs}
        self.cases = cases(settings.architectures, settings.runtimes, tuple(self.jobs))
        self.latency: dict[Case, list[Answer]] = {}
        self.memory: dict[Case, list[Answer]] = {}
        self.document: dict[str, Any] = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "command": command,
            "settings": asdict(settings),
            "jobs": [asdict(job) for job in self.jobs.values()],
            "environment": _environment(),
            "models": prepared,
            "cases": [],
            "ratios": [],
            "finished": False,
        }

    def run(self, terminal: Terminal) -> dict[str, Any]:
        """Measure everything. `architectures.json` and the raw samples are written after every process.

        Raises:
            RunError: A process failed or the run was interrupted. Results so far are kept.
        """
        settings = self.settings
        planned = processes(self.cases, settings.rounds, settings.memory_rounds, settings.seed)
        left = TimeLeft([(process.what, 0.0) for process in planned])
        try:
            for number, process in enumerate(planned, 1):
                terminal(Step(number, len(planned), process.what, left.seconds()))
                begin = time.monotonic()
                self._measure(process)
                left.took(time.monotonic() - begin)
        except KeyboardInterrupt:
            raise RunError(f"interrupted; {self._stop()}") from None
        except RunError as error:
            raise RunError(f"{error}; {self._stop()}") from error
        self.finish(finished=True)
        return self.document

    def finish(self, finished: bool) -> None:
        """Compute the ratios, the verdict on the run and the tables from the results so far."""
        after = {key: value for key, value in environment().items() if key in STATE}
        self.document |= {
            "ratios": ratios(self.cases, self.jobs, self.latency, self.memory),
            "environment_after": after,
            "verdict": verdict(self._judged(), self.document["environment"], after),
            "finished": finished,
        }
        write_json(self.out / "architectures.json", self.document)
        with disk_errors(self.out):
            (self.out / "architectures.md").write_text(tables.markdown(self.document), encoding="utf-8")

    def _stop(self) -> str:
        if not self.latency and not self.memory:
            return "no process was done"
        self.finish(finished=False)
        return f"results so far are kept in {self.out}"

    def _measure(self, process: Process) -> None:
        answer = self.child(self._job(process))
        answers = self.memory if process.memory else self.latency
        answers.setdefault(process.case, []).append(answer)
        self._keep(process.case)

    def _job(self, process: Process) -> dict[str, Any]:
        settings, case = self.settings, process.case
        slow = self.jobs[case.job].generated > max(3, settings.samples)
        return {
            "scenario": process.what,
            "architecture": case.architecture,
            "runtime": case.runtime,
            "job": case.job,
            "folder": str(self.work / case.architecture),
            "tiny": settings.tiny,
            "seed": settings.seed,
            "threads": settings.threads,
            "warmup": settings.warmup,
            "samples": 1 if process.memory else settings.slow_samples if slow else settings.samples,
        }

    def _keep(self, case: Case) -> None:
        """Update a case in the result, and write it."""
        latency, memory = self.latency.get(case, []), self.memory.get(case, [])
        raw = f"raw/{case.name.replace(', ', '-')}.json"
        write_json(self.out / raw, {"latency": latency, "memory": memory})
        found = figures(case, self.jobs[case.job], latency, memory) | {"raw": raw, "threads": self.settings.threads}
        known = {_name(each): each for each in self.document["cases"]} | {case.name: found}
        self.document["cases"] = [known[each.name] for each in self.cases if each.name in known]
        write_json(self.out / "architectures.json", self.document)

    def _judged(self) -> list[ResultCase]:
        """Convert the cases to those of `edgebert.measure`, for its verdict. The field for lengths has the runtime."""
        return [
            ResultCase(
                each["model"],
                "",
                each["architecture"],
                "local",
                each["runtime"],
                each["job"],
                each["batch"],
                each["runtime"],
                each["threads"],
                drift=each.get("drift"),
                spread=each.get("spread"),
                others=each.get("others"),
            )
            for each in self.document["cases"]
        ]


def _name(figures_: dict[str, Any]) -> str:
    return Case(figures_["job"], figures_["runtime"], figures_["architecture"]).name


def _environment() -> dict[str, Any]:
    """Describe this machine, with the versions of PyTorch and of the packages that export."""
    found = environment()
    for name in ("torch", "transformers", "onnxscript"):
        found["versions"][name] = importlib.metadata.version(name)
    return found
