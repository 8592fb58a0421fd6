"""One run: prepare all contenders, compare answers, then run rounds of fresh processes; write the result each round."""

from __future__ import annotations

import random
import re
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from bench.peers.comparison import Agreement, Answers, compare, predictions, refusal
from bench.peers.fixed_lengths import fixed_texts
from bench.peers.prepared import Places, Prepared, answers_of, plain_export, prepare, run_contender
from bench.peers.suite import Contender, Suite
from bench.peers.table import what
from edgebert.errors import RunError
from edgebert.manifest import Manifest
from edgebert.measure.environment import environment
from edgebert.measure.others import others_cores
from edgebert.measure.results import Case, Result, write_json
from edgebert.measure.scenarios.memory import peak_mb
from edgebert.measure.scenarios.single_stream import fill_latency, fill_start
from edgebert.measure.statistics import Samples, median_ratio
from edgebert.measure.verdict import verdict
from edgebert.measure.workload import Workload
from edgebert.runtime.quality import measure_quality, metric_of
from edgebert.tasks.table import device_task

Answer = dict[str, Any]
NATURAL = "natural"


class Bench:
    """A run: its settings and the results so far."""

    def __init__(
        self, suite: Suite, places: Places, workload: Workload, manifest: Manifest, out: Path, command: str
    ) -> None:
        self.suite, self.places, self.workload, self.manifest, self.out = suite, places, workload, manifest, out
        data = {"file": workload.source, "sha256": workload.sha256, "rows": len(workload.examples)}
        self.result = Result(command, asdict(suite), data, environment())
        self.prepared: list[Prepared] = []
        self.agreements: dict[str, Agreement] = {}
        self.quality: dict[str, Answer] = {}
        self.left_out: dict[str, str] = {}

    def compare(self) -> None:
        """Prepare all contenders, and keep those whose answers agree with the reference.

        Raises:
            RunError: The reference itself fails, or no other contender is left.
        """
        plain, texts = plain_export(self.suite, self.places), self._texts()
        reference: Answers | None = None
        for contender in self.suite.contender:
            try:
                prepared = prepare(contender, self.suite, self.places, plain)
                answers = answers_of(prepared, self.suite, self.places, texts)
                reference = answers if reference is None else reference
                self._accept(prepared, reference, answers)
            except RunError as error:
                if reference is None:
                    raise
                self._leave_out(contender.name, str(error))
        if len(self.prepared) < 2:
            raise RunError("nobody is left to compare with the reference; the lines above say why")

    def time(self) -> None:
        """Run the rounds: one fresh process per contender, in a new random order each round."""
        loops, drawn = self._loops(), random.Random(self.suite.seed)
        answers: dict[str, list[Answer]] = {prepared.contender.name: [] for prepared in self.prepared}
        for number in range(self.suite.rounds):
            begin = time.monotonic()
            for prepared in drawn.sample(self.prepared, len(self.prepared)):
                answers[prepared.contender.name].append(
                    run_contender(prepared, self.suite, self.places, "measure", loops=loops)
                )
            sys.stderr.write(f"peers: round {number + 1} of {self.suite.rounds}: {time.monotonic() - begin:.0f} s\n")
            self._fill(answers, [loop["lengths"] for loop in loops])
        self.result.finished = True

    def finish(self) -> Answer:
        """Write `result.json` and return its contents."""
        after = environment()
        self.result.environment_after = after
        self.result.verdict = verdict(self.result.cases, self.result.environment, after)
        ours = [contender.name for contender in self.suite.contender if contender.bundle]
        agreements = {name: asdict(found) for name, found in self.agreements.items()}
        self.result.suite |= {"ours": ours, "left_out": self.left_out, "agreements": agreements}
        self.result.write(self.out)
        return self.result.as_dict()

    def _texts(self) -> list[str]:
        """Texts to answer. The texts of a pair are adjacent."""
        rows = self.workload.examples
        return [text for row in rows for text in (row.text, row.text_pair) if text is not None]

    def _accept(self, prepared: Prepared, reference: Answers, answers: Answers) -> None:
        name = prepared.contender.name
        agreement = compare(self.suite.task, reference, answers)
        self.agreements[name] = agreement
        sys.stderr.write(
            f"peers: {name}: agrees to {agreement.share:.4f}, differs by {agreement.largest_difference:.2g}\n"
        )
        reason = refusal(prepared.contender.precision, agreement, self.suite)
        if reason is not None:
            return self._leave_out(name, reason)
        if self.suite.scored:
            self.quality[name] = self._scored(answers)
        self.prepared.append(prepared)

    def _leave_out(self, name: str, reason: str) -> None:
        self.left_out[name] = reason
        sys.stderr.write(f"peers: {name} is left out: {reason}\n")

    def _scored(self, answers: Answers) -> Answer:
        task = device_task(self.suite.task)(self.manifest.facts, None)
        expected = [task.expected(example) for example in self.workload.examples]
        name = self.manifest.data.metric
        found = predictions(self.suite.task, answers)
        return measure_quality(name, metric_of(self.suite.task, name), expected, found).as_dict()

    def _loops(self) -> list[Answer]:
        """What each process measures, in order: the texts of each kind, and the number of samples."""
        suite, texts = self.suite, self._texts()
        loops = []
        if suite.natural:
            drawn = random.Random(suite.seed)
            sample = in_like_thirds(drawn.sample(texts, min(suite.samples, len(texts))), drawn)
            loops.append({"lengths": NATURAL, "texts": sample, "warmup": suite.warmup, "samples": suite.samples})
        tokenizer = Tokenizer.from_file(str(self.places.bundle / "tokenizer.json"))
        for length in suite.lengths:
            made = fixed_texts(tokenizer, texts, length, suite.seed)
            warmup = min(suite.warmup, 5)
            loops.append({"lengths": str(length), "texts": made, "warmup": warmup, "samples": suite.fixed_samples})
        return loops

    def _fill(self, answers: dict[str, list[Answer]], kinds: list[str]) -> None:
        """Compute cases and ratios from the rounds so far."""
        self.result.cases = [
            self._case(prepared, kind, answers[prepared.contender.name]) for kind in kinds for prepared in self.prepared
        ]
        self.result.ratios = []
        for kind in kinds:
            rounds = {name: [latencies(answer, kind) for answer in several] for name, several in answers.items()}
            for ours in (prepared.contender.name for prepared in self.prepared if prepared.contender.bundle):
                for peer in rounds:
                    if peer != ours:
                        title = what(peer, ours, kind)
                        self.result.ratios.append(median_ratio(title, rounds[peer], rounds[ours]))
        self.result.write(self.out)

    def _case(self, prepared: Prepared, kind: str, answers: list[Answer]) -> Case:
        contender, name = prepared.contender, prepared.contender.name
        case = Case(
            bundle=self.suite.name,
            bundle_hash=prepared.key,
            variant=name,
            target="local",
            runtime=_runtime(contender),
            scenario="single_stream",
            batch=1,
            lengths=kind,
            threads=self.suite.threads,
            size_mb=round(prepared.size_mb, 2),
            quality=self.quality.get(name),
            agreement=asdict(self.agreements[name]),
            # `edgebert.load` opens EdgeBERT's bundles with its defaults, so it checks the hash.
            hashed=True if contender.bundle else None,
        )
        fill_latency(case, [latencies(answer, kind) for answer in answers])
        fill_start(case, answers)
        others = others_cores(answers)
        case.others = None if others is None else round(others, 3)
        case.peak_rss_mb = peak_mb([answer["end_rss"] for answer in answers])
        case.raw = f"raw/{re.sub(r'[^A-Za-z0-9.@-]+', '-', name)}-{kind}.json"
        write_json(self.out / case.raw, {"rounds": [_raw(answer, kind) for answer in answers]})
        return case


def _raw(answer: Answer, kind: str) -> Answer:
    """One process's latencies at one kind of length, in the order of measurement, and its start times."""
    marks = {key: value for key, value in answer.items() if key != "loops"}
    return {"latencies_ns": answer["loops"][kind], **marks}


def latencies(answer: Answer, kind: str) -> Samples:
    """Latencies of one process at one kind of length, in nanoseconds."""
    return np.array(answer["loops"][kind], dtype=np.float64)


def in_like_thirds(texts: list[str], drawn: random.Random) -> list[str]:
    """Order the texts so that each third has similar lengths: drift then comes from the machine, not from the texts."""
    ordered = sorted(texts, key=len)
    thirds = [ordered[start::3] for start in range(3)]
    for third in thirds:
        drawn.shuffle(third)
    return [text for third in thirds for text in third]


def _runtime(contender: Contender) -> str:
    return " ".join(filter(None, (contender.environment, contender.variant)))
