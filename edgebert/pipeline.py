"""Run the stages of a recipe, one after another, and write the bundle."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from edgebert import bundle
from edgebert.budgeted import within_budget
from edgebert.compress import checkpoint, distributed
from edgebert.compress.conditions import CHECKPOINT, GRAPH, TRAINING, conditions, graph_tools
from edgebert.compress.distill import VERSION as DISTILL_VERSION
from edgebert.compress.distill import Teacher, distill
from edgebert.compress.finetune import VERSION as FINETUNE_VERSION
from edgebert.compress.finetune import finetune
from edgebert.compress.numbers import CHOSEN, sentence
from edgebert.compress.prune import VERSION as PRUNE_VERSION
from edgebert.compress.prune import prune
from edgebert.compress.qat import STAGE as AWARE
from edgebert.compress.qat import VERSION as AWARE_VERSION
from edgebert.compress.qat import Int8, train_aware
from edgebert.compress.recover import recover
from edgebert.compress.report import StageReport
from edgebert.compress.sentence_folder import lower_cases
from edgebert.compress.step import Step
from edgebert.compress.vocabulary import VERSION as VOCABULARY_VERSION
from edgebert.compress.vocabulary import cut_settings, cut_vocabulary, recover_vocabulary
from edgebert.cpu import this_cpu
from edgebert.errors import SettingsError
from edgebert.exporters.assemble import BundleParts, write_bundle
from edgebert.exporters.candidates import STAGE as CHOOSE
from edgebert.exporters.candidates import VERSION as CHOOSE_VERSION
from edgebert.exporters.candidates import Candidate, choose
from edgebert.exporters.fp16 import VERSION as FP16_VERSION
from edgebert.exporters.fp16 import fp16_graph
from edgebert.exporters.graphs import VERSION as GRAPH_VERSION
from edgebert.exporters.graphs import GraphJob, full_precision_graph, graph_quality
from edgebert.exporters.int8 import VERSION as INT8_VERSION
from edgebert.exporters.int8 import quantized_graph
from edgebert.finished import Plan
from edgebert.measure.environment import environment
from edgebert.prepared import prepare
from edgebert.recipe import TrainSettings, VocabularySettings, settings_dict
from edgebert.settings import fill
from edgebert.stage_bundles import bundled, remove_bundles
from edgebert.stage_names import FULL_PRECISION
from edgebert.strict_json import Json
from edgebert.workdir import LOWER_CASED, Done, Key, Workdir, model_hash, noted, source_hash

LOG = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test", "unlabelled")


@dataclass(frozen=True)
class Built:
    """The result of an export: the bundle, stage bundles, the bundle before INT8, and the time of every stage."""

    out: Path
    stage_bundles: tuple[Path, ...]
    done: tuple[Done, ...]
    full_precision: Path | None = None


def build(plan: Plan) -> Built:
    """Run every stage that a recipe names, and write the bundle.

    Raises:
        EdgeBertError: Bad input (exit code 2) or a stage that failed (exit code 1); no half-written bundle is left.
    """
    return _Build(plan).run()


class _Build:
    """State of one running export."""

    def __init__(self, plan: Plan) -> None:
        self.target, self.out, self.workdir = plan.target, plan.out, Workdir(plan.work)
        self.source, self.budget, self.prepared = plan.source, plan.budget, prepare(plan)
        if self.budget:
            self.prepared = within_budget(self.prepared, self.budget, self.workdir)
        self.beside = plan.work / FULL_PRECISION if plan.full_precision else None
        self.recipe, self.checkpoint = self.prepared.recipe, self.prepared.checkpoint
        self.run_constants, self.data = self.prepared.run, self.prepared.data
        self.vector_modules = self.prepared.vector_modules
        self.precision = plan.form
        self.done: list[Done] = []
        self.final = (Path(), "")

    def run(self) -> Built:
        teacher = self._teacher()
        chain = self._compressed(teacher)
        last = chain[-1]
        self.final = (last.folder, self.recipe.export.graph)
        fast = self._graph(last, self.recipe.export.graph)
        if self.precision == "measure":
            last = self._chosen(last, fast)
        final = self._finished(last, fast)
        stages = self._stage_bundles(teacher, chain, skip_last=self.precision == "none")
        baseline = stages[0] if self.recipe.export.baseline and stages else None
        self._write(self.out, last, final, self.precision, self.recipe.export.formats, baseline)
        beside = self.beside if self.precision != "none" else None
        if beside:
            self._write(beside, last, fast, "none", ("onnx",))
        return Built(self.out, tuple(stages), tuple(self.done), beside)

    def _stage(
        self,
        name: str,
        version: int,
        inputs: Mapping[str, Json],
        action: Callable[[Path], StageReport],
        runs_with: Sequence[str] | TrainSettings,
        of: str = "",
    ) -> Done:
        """Run a stage, or reuse an earlier run's result.

        Args:
            name: The stage's name.
            version: Its code version.
            inputs: What its result depends on, besides what all stages depend on.
            action: Writes the stage's result into a folder.
            runs_with: The tools that it uses; or, for training (in which all processes take part), its settings.
            of: What the stage works on, for the summary.
        """
        constants: dict[str, Json] = {"run": self.run_constants.facts(), "facts": self.data.key()}
        trains = isinstance(runs_with, TrainSettings)
        ran = conditions(TRAINING, runs_with) if isinstance(runs_with, TrainSettings) else conditions(runs_with)
        if trains and self.budget:
            constants["budget"] = self.budget
        chosen = self.prepared.chosen.get(name)
        if chosen and distributed.is_main():
            LOG.info("%s: %s", name, sentence(chosen))
        done = self.workdir.run(Key(name, version, {**constants, **inputs}, ran), action, trains, of)
        done = noted(done, {CHOSEN: chosen}) if chosen else done
        self.done.append(done)
        return done

    def _teacher(self) -> Step:
        settings = self.recipe.finetune
        labels, lack = self.data.label_names, self.prepared.lack
        if settings is None or not self.prepared.trains_teacher:
            if lack:
                raise SettingsError(
                    f"{self.source}: the checkpoint has no head for {self.recipe.task}"
                    f"{f' with {len(labels)} labels' if labels else ''} ({lack}); "
                    "give a fine-tuned checkpoint, or train the head: a recipe with a [finetune] table"
                )
            return self._given()
        source = self.checkpoint if self.vector_modules is None else self._given().folder
        inputs: dict[str, Json] = {"model": model_hash(source), "settings": settings_dict(settings)}
        inputs |= self._data_inputs("train", "validation")
        action = partial(finetune, source, self.data, settings, self.run_constants)
        done = self._stage("finetune", FINETUNE_VERSION, inputs, action, settings)
        return Step("finetune", done.folder, (done.report,))

    def _given(self) -> Step:
        inputs = {"model": self._source_hash()}
        arguments = (self.checkpoint, self.recipe.task, self.data.label_names)
        tokenizer = self.run_constants.loaded.tokenizer(self.checkpoint)
        action = partial(checkpoint.take_over, *arguments, modules=self.vector_modules, tokenizer=tokenizer)
        return Step("checkpoint", self._stage("take-over", checkpoint.VERSION, inputs, action, CHECKPOINT).folder, ())

    def _compressed(self, teacher: Step) -> list[Step]:
        """Return the teacher and the students of the compression stages that the recipe names.

        The stages are distillation, pruning, vocabulary cut, and training for INT8.
        """
        chain = [teacher]
        layers: tuple[int, ...] | None = None
        if self.recipe.distill:
            settings = self.recipe.distill
            layers = settings.layers
            by, inputs = self._by(teacher, teacher.folder, layers)
            inputs |= {"settings": settings_dict(settings), **self._data_inputs("train", "unlabelled", "validation")}
            action = partial(distill, by, self.data, settings, self.run_constants)
            done = self._stage("distill", DISTILL_VERSION, inputs, action, settings)
            chain.append(self._step(chain[-1], done))
        if self.recipe.prune:
            chain.append(self._pruned(teacher, chain[-1], layers))
        if self.recipe.vocabulary:
            chain.append(self._with_fewer_words(self.recipe.vocabulary, teacher, chain[-1], layers))
        if self.recipe.quantize.recover:
            chain.append(self._used_to_int8(teacher, chain[-1], layers))
        return chain

    def _by(self, teacher: Step, folder: Path, layers: tuple[int, ...] | None) -> tuple[Teacher, dict[str, Json]]:
        """Return a teacher by its folder, and the values of it that a student's result depends on."""
        by = Teacher(folder, layers, teacher.validation(self.recipe.metric))
        return by, {"teacher": model_hash(folder), "layers": layers, "validation": by.validation}

    def _pruned(self, teacher: Step, source: Step, layers: tuple[int, ...] | None) -> Step:
        assert self.recipe.prune is not None
        settings = self.recipe.prune
        arguments = settings_dict(settings)
        inputs = {"model": model_hash(source.folder), "settings": arguments, **self._data_inputs("train")}
        action = partial(prune, source.folder, self.data, settings, self.run_constants)
        cut = self._stage("prune", PRUNE_VERSION, inputs, action, CHECKPOINT)
        by, inputs = self._by(teacher, teacher.folder, layers)
        inputs |= {"model": model_hash(cut.folder), "settings": arguments}
        inputs |= self._data_inputs("train", "unlabelled", "validation")
        action = partial(recover, cut.folder, by, self.data, settings, self.run_constants)
        recovered = self._stage("recover", PRUNE_VERSION, inputs, action, settings.recover)
        return self._step(self._step(source, cut), recovered)

    def _with_fewer_words(
        self, settings: VocabularySettings, teacher: Step, source: Step, layers: tuple[int, ...] | None
    ) -> Step:
        step = self._step(source, self._vocabulary(source, settings))
        if settings.recover is None:
            return step
        taught = self._teacher_of_fewer_words(settings, teacher)
        by, inputs = self._by(teacher, taught, layers)
        inputs |= {"model": model_hash(step.folder)}
        inputs |= {"settings": [settings_dict(settings.recover), settings_dict(settings.loss)]}
        inputs |= self._data_inputs("train", "unlabelled", "validation")
        action = partial(recover_vocabulary, step.folder, by, self.data, settings, self.run_constants)
        done = self._stage("recover-vocabulary", VOCABULARY_VERSION, inputs, action, settings.recover)
        return self._step(step, done)

    def _teacher_of_fewer_words(self, settings: VocabularySettings, teacher: Step) -> Path:
        """Cut the teacher's vocabulary too: to teach a student of the small vocabulary, it must read the same ids."""
        return self._vocabulary(teacher, replace(settings, rank=0)).folder

    def _vocabulary(self, source: Step, settings: VocabularySettings) -> Done:
        inputs: dict[str, Json] = {"model": model_hash(source.folder), "settings": cut_settings(settings)}
        inputs |= self._data_inputs(*SPLITS, "corpus")
        action = partial(cut_vocabulary, source.folder, self.data, settings, self.run_constants)
        return self._stage("vocabulary", VOCABULARY_VERSION, inputs, action, CHECKPOINT, of=source.name)

    def _used_to_int8(self, teacher: Step, source: Step, layers: tuple[int, ...] | None) -> Step:
        settings, choice, words = self.recipe.quantize, self.target.export, self.recipe.vocabulary
        taught = self._teacher_of_fewer_words(words, teacher) if words else teacher.folder
        assert settings.recover is not None
        by, inputs = self._by(teacher, taught, layers)
        inputs |= {"model": model_hash(source.folder)}
        inputs |= {"settings": [settings_dict(settings.recover), settings_dict(settings.loss), settings.embeddings]}
        inputs |= {"profile": settings_dict(choice), **self._data_inputs("train", "unlabelled", "validation")}
        int8 = Int8(settings, choice)
        action = partial(train_aware, source.folder, by, self.data, int8, self.run_constants)
        return self._step(source, self._stage(AWARE, AWARE_VERSION, inputs, action, settings.recover))

    def _graph(self, step: Step, kind: str) -> Done:
        job = self._job(step)
        inputs: dict[str, Json] = {"model": model_hash(step.folder), "kind": kind, "segments": self.data.segments}
        inputs |= {"parity": self.recipe.export.parity_samples, **self._data_inputs(*SPLITS)}
        action = partial(full_precision_graph, job, kind)
        of = f"{step.name}, {kind}"
        graph = self._stage("graph", GRAPH_VERSION, inputs, action, GRAPH, of=of)
        # Stages before the bundle's own graph are scored only on request: `bench --stages` does it too.
        asked = self.recipe.export.score_stages or (step.folder, kind) == self.final
        return self._scored(step, graph, of) if asked and (self.data.validation or self.data.test) else graph

    def _scored(self, step: Step, graph: Done, of: str) -> Done:
        """Return a full-precision graph, with its quality in its report."""
        action = partial(graph_quality, self._job(step), graph.folder, graph.report)
        inputs = {**self._graph_inputs(step, graph), "head": graph.report.metrics["head"]}
        return noted(graph, self._stage("score", GRAPH_VERSION, inputs, action, GRAPH, of=of).report.metrics)

    def _chosen(self, step: Step, graph: Done) -> Step:
        """Choose quantization form, types and runtime by what runs fastest on this machine."""
        settings, choice = self.recipe.quantize, self.target.export
        inputs = {**self._graph_inputs(step, graph), "settings": settings_dict(settings)}
        inputs |= {"profile": settings_dict(choice), "formats": list(self.recipe.export.formats)}
        machine = environment()
        inputs |= {"machine": {key: machine[key] for key in ("cpu", "flags", "cores", "versions")}}
        action = partial(choose, self._job(step), graph.folder, settings, choice)
        tools = graph_tools("measure", self.recipe.export.formats)
        done = self._stage(CHOOSE, CHOOSE_VERSION, inputs, action, tools)
        chosen = fill(Candidate, done.report.table("chosen"), CHOOSE)
        self.precision, self.target = chosen.form, replace(self.target, export=chosen.of(choice))
        return Step(step.name, step.folder, (*step.reports, done.report))

    def _finished(self, step: Step, graph: Done) -> Done:
        """Return the bundle's graph, in the bundle's precision."""
        if self.precision == "none":
            return graph
        return self._halved(step, graph) if self.precision == "fp16" else self._quantized(step, graph)

    def _halved(self, step: Step, graph: Done) -> Done:
        provider = self.target.export.provider
        action = partial(fp16_graph, self._job(step), graph.folder, provider)
        inputs = {**self._graph_inputs(step, graph), "provider": provider}
        inputs |= {"formats": list(self.recipe.export.formats)}
        return self._stage("fp16", FP16_VERSION, inputs, action, graph_tools("fp16", self.recipe.export.formats))

    def _quantized(self, step: Step, graph: Done) -> Done:
        job = self._job(step)
        inputs = {**self._graph_inputs(step, graph), "settings": settings_dict(self.recipe.quantize)}
        inputs |= {"profile": settings_dict(self.target.export), "formats": list(self.recipe.export.formats)}
        # Quality, and what max_drop keeps in full precision, depend on whether sums saturate on this CPU.
        inputs["cpu"] = this_cpu().int8
        action = partial(quantized_graph, job, graph.folder, self.recipe.quantize, self.precision, self.target.export)
        tools = graph_tools(self.precision, self.recipe.export.formats)
        return self._stage("quantize", INT8_VERSION, {**inputs, "format": self.precision}, action, tools)

    def _stage_bundles(self, teacher: Step, chain: list[Step], skip_last: bool) -> list[Path]:
        """Make full-precision bundles of the baseline and every stage, for `edgebert bench --stages`."""
        root = bundle.stages_folder(self.out)
        if not (self.recipe.export.stages or self.recipe.export.baseline):
            remove_bundles(root, keep=())
            return []
        steps = bundled(teacher, chain, self.recipe.export.stages, skip_last)
        for name, step, kind in steps:
            # The baseline of a bench runs on ONNX Runtime, whatever the bundle's runtime is.
            formats = dict.fromkeys(("onnx", *self.recipe.export.formats))
            self._write(root / name, step, self._graph(step, kind), "none", tuple(formats))
        remove_bundles(root, keep=[name for name, _, _ in steps])
        return [root / name for name, _, _ in steps]

    def _write(
        self,
        out: Path,
        step: Step,
        graph: Done,
        precision: str,
        formats: tuple[str, ...],
        baseline: Path | None = None,
    ) -> None:
        reports, source_hash = (*step.reports, graph.report), self._source_hash()
        parts = BundleParts(
            self.recipe, self.target, self.source, source_hash, self.data, self._job(step), precision, formats
        )
        if distributed.is_main():
            self.run_constants.loaded.forget_models()
            write_bundle(parts, graph.folder, reports, out, baseline)
        distributed.wait()

    def _source_hash(self) -> str:
        """Hash the checkpoint and what `modules.json` adds: lower-casing, and modules after the pooling."""
        added = self.vector_modules.sha256() if self.vector_modules is not None else ""
        if self.run_constants.loaded.with_settings is not None and lower_cases(self.checkpoint):
            added += LOWER_CASED
        return source_hash(self.checkpoint, added)

    def _job(self, step: Step) -> GraphJob:
        return GraphJob(step.folder, self.data, self.run_constants, self.recipe.export)

    def _step(self, before: Step, done: Done) -> Step:
        return Step(done.report.stage, done.folder, (*before.reports, done.report))

    def _graph_inputs(self, step: Step, graph: Done) -> dict[str, Json]:
        """Inputs of a stage that turns one graph into another and compares both on real texts."""
        inputs = {"model": model_hash(step.folder), "graph": bundle.folder_sha256(graph.folder, ["model.onnx"])}
        return {**inputs, "parity": self.recipe.export.parity_samples, **self._data_inputs(*SPLITS)}

    def _data_inputs(self, *splits: str) -> dict[str, Json]:
        """The part of a stage's inputs that describes the data: its files, and how they are read."""
        files = [entry for entry in self.data.fingerprints if entry["split"] in splits]
        reading = {key: value for key, value in settings_dict(self.recipe.data).items() if key not in SPLITS}
        return {"data": [files, reading]}
