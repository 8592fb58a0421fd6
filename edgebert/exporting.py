"""Make a bundle: what `edgebert export` and `edgebert.export` do. PyTorch is imported only if there is work."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from edgebert import bundle
from edgebert.bundle import bundle_hash, read_document, read_manifest, stages_folder
from edgebert.compress import distributed
from edgebert.compress.conditions import runtime_tools
from edgebert.compress.early_checks import check_early
from edgebert.compress.inferred import Asked as Asked
from edgebert.compress.inferred import infer
from edgebert.compress.model_folder import check_described
from edgebert.compress.neutral_texts import write_texts
from edgebert.compress.sentence_folder import encoder_folder
from edgebert.compress.source import resolve
from edgebert.compress.weight_paths import ENDINGS as WEIGHTS
from edgebert.cpu import Cpu, this_cpu
from edgebert.duration import parse_duration
from edgebert.errors import BundleError, InputError, MissingDependencyError, SettingsError
from edgebert.escape import name_fault, shortened, shown_value
from edgebert.finished import Plan, ShownStage, earlier, key_of, record
from edgebert.lock import held
from edgebert.places import TEXTS as TEXTS
from edgebert.places import check_data_files, check_places
from edgebert.precision import FLOAT_FORMS, quantization
from edgebert.recipe import Recipe, data_files, overridden, read_recipe
from edgebert.runtime.session import CPU
from edgebert.runtimes import FORMATS, OPENVINO, Int8Form, saturates
from edgebert.settings import Setting
from edgebert.stage_names import FULL_PRECISION
from edgebert.strict_json import Json
from edgebert.target import Target, fitting_profile, read_target
from edgebert.versions import check_installed

LOG = logging.getLogger(__name__)

NEEDED = (
    *("torch", "transformers", "accelerate", "optimum", "requests", "onnx", "onnxscript", "scikit-learn", "scipy"),
    *("seqeval", "safetensors", "tokenizers", "tqdm"),
)

# How often a PyTorch thread checks whether the others are done before it sleeps. libgomp's default of 300,000 blocks a
# core that others need: CONTRIBUTING has figures.
SPINS = "20000"


@dataclass(frozen=True)
class Stage:
    """One step of an export: its result, its duration in seconds, and whether an earlier run's result was reused."""

    stage: str
    title: str
    metrics: Mapping[str, Json]
    cached: bool
    seconds: float


@dataclass(frozen=True)
class Exported:
    """The result of an export.

    Attributes:
        bundle: The bundle's folder.
        bundle_hash: SHA-256 of the manifest, which lists the hashes of all files; `edgebert verify --hash` checks it.
        stage_bundles: Bundles of the earlier stages, the full-precision baseline first.
        metrics: Quality by split (`validation`, `test`): `metric`, `value`, `interval` and more; as in the manifest.
        measured_on: The CPU that the metrics were measured on.
        stages: Every stage, in order.
        unchanged: Whether an earlier export already made the same bundle, so nothing was done.
        full_precision: Bundle of the same model before INT8, in the folder of finished stages, if requested.
    """

    bundle: Path
    bundle_hash: str
    stage_bundles: tuple[Path, ...]
    metrics: dict[str, Json]
    measured_on: dict[str, Json]
    stages: tuple[Stage, ...]
    unchanged: bool
    full_precision: Path | None = None

    def to_dict(self) -> dict[str, Json]:
        """Return plain values, as `edgebert export --json` writes them."""
        stages = [asdict(stage) | {"seconds": round(stage.seconds, 1)} for stage in self.stages]
        return {
            "bundle": str(self.bundle),
            "bundle_hash": self.bundle_hash,
            "stage_bundles": [str(path) for path in self.stage_bundles],
            "metrics": self.metrics,
            "measured_on": self.measured_on,
            "stages": stages,
        }


@dataclass(frozen=True)
class Order:
    """What to export; see `edgebert.export` for each field. `overrides` are `key=value` or keys and values.

    `recipe` is a recipe's file, or a checkpoint without a recipe; in that case `asked` holds the checkpoint's options.
    """

    recipe: str
    overrides: tuple[str | tuple[str, Setting], ...] = ()
    model: str | None = None
    data_dir: Path | None = None
    profile: str | None = None
    out: Path | None = None
    work: Path | None = None
    strict_labels: bool = False
    asked: Asked = field(default_factory=Asked)
    full_precision: bool = False
    budget: str = ""

    @property
    def has_recipe(self) -> bool:
        """Whether `recipe` is a recipe's file and not a checkpoint."""
        return self.recipe.endswith(".toml") or (os.path.isfile(self.recipe) and not self.recipe.endswith(WEIGHTS))


def export_bundle(order: Order) -> Exported:
    """Check the whole order, then build the bundle, or return the existing one if it is up to date."""
    plan = _plan(order)
    files = [] if plan.needs_texts else [plan.data_dir / name for name in data_files(plan.recipe)]
    files += [Path(order.recipe)] if order.has_recipe else []
    files += [Path(name) for name in (order.profile or plan.recipe.profile,) if name and name.endswith(".toml")]
    check_places(plan.out, plan.work, plan.source, None if plan.needs_texts else plan.data_dir, files)
    with _alone(plan.out, plan.work), _no_empty_work(plan.work):
        if plan.needs_texts and distributed.is_main():
            bundle.check_folder(plan.work, "--work")
            encoder = encoder_folder(resolve(plan.source))
            with bundle.disk_errors(plan.work, "--work"):
                write_texts(plan.work / TEXTS, encoder, pairs=bool(plan.recipe.data.text_pair))
        key = key_of(plan)
        lacks_baseline = plan.full_precision and plan.form != "none" and not bundle.is_ours(plan.work / FULL_PRECISION)
        done = earlier(plan, key) if key and not lacks_baseline else None
        if done is None:
            return _export(plan, key)
        folders = [stages_folder(plan.out) / name for name in done.stage_bundles]
        return _exported(plan.out, folders, [_earlier(found) for found in done.stages], unchanged=True)


def overrides_of(settings: Mapping[str, Setting]) -> tuple[tuple[str, Setting], ...]:
    """Return recipe keys with Python values, checked like those of a file.

    Raises:
        TypeError: They are not a mapping.
        SettingsError: A recipe has no such key, or does not allow the value.
    """
    if not isinstance(settings, Mapping):
        raise TypeError(
            f"settings is {type(settings).__name__} {shown_value(settings)}; give a dict of recipe keys to values"
        )
    for key, value in settings.items():
        if not isinstance(key, str) or not _is_setting(value):
            raise SettingsError(
                f"settings: {shown_value(key, 80)} is {shown_value(value, 80)}; expected the name of a key, and a "
                "text, a number, a boolean or a list of them"
            )
    return tuple(settings.items())


def _is_setting(value: object, depth: int = 4) -> bool:
    if isinstance(value, list | tuple):
        return depth > 0 and all(_is_setting(item, depth - 1) for item in value)
    if isinstance(value, str):
        return not name_fault(value)
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 63)


def tools_of(form: str, formats: Sequence[str]) -> list[str]:
    """List packages that an export with this quantization form and these formats needs besides `NEEDED`."""
    tools = ["neural-compressor"] if form in ("static", "measure") else []
    return tools + runtime_tools(formats, int8=form not in FLOAT_FORMS)


def _plan(order: Order) -> Plan:
    """Plan the export, report the plan, and check it as far as possible without loading the model."""
    budget = parse_duration(order.budget, "--budget") if order.budget else 0
    recipe, facts = _recipe_of(order)
    if budget and not recipe.trains:
        raise SettingsError("--budget is for training, but nothing is trained here; leave it out, or name a recipe")
    for what, value, stated in facts if distributed.is_main() else ():
        LOG.info("%s: %s (%s)", what, value, stated)
    target = _target(order.profile or recipe.profile, this_cpu())
    form = quantization(recipe, target)  # what does not go together is said at once
    if not order.has_recipe and recipe.quantize.format == "profile" and form in FLOAT_FORMS and distributed.is_main():
        LOG.info("precision: %s, not INT8 (profile %s says so)", FLOAT_FORMS[form], target.name)
    if form in FLOAT_FORMS and all(FORMATS[name].int8_only for name in recipe.export.formats):
        raise SettingsError(
            f"{order.recipe}: export.formats has only {', '.join(recipe.export.formats)}, which needs INT8, but this "
            f"export has no INT8; add onnx"
        )
    check_installed((*NEEDED, *tools_of(form, recipe.export.formats)))
    _check_usable(recipe.export.formats, form)
    out = order.out or Path(_folder_of(order.recipe, recipe.name))
    out = out if out.name not in ("", "..") else out.resolve()
    if not out.name:
        raise SettingsError(f"--out is {out}, the root of all folders; give a folder in it")
    work = order.work or out.with_name(out.name + ".work")
    source, needs_texts = order.model or recipe.model.source, not order.has_recipe and order.asked.text is None
    data_dir = work if needs_texts else order.data_dir or (order.asked.text or Path(order.recipe)).parent
    runs_here = target.machine == this_cpu().machine and target.export.provider == CPU
    beside = order.full_precision and not order.has_recipe and runs_here
    return Plan(recipe, target, form, source, data_dir, out, work, order.strict_labels, needs_texts, beside, budget)


def _recipe_of(order: Order) -> tuple[Recipe, tuple[tuple[str, str, str], ...]]:
    """Return the named recipe, or one inferred from the checkpoint's folder together with the inferred facts.

    Raises:
        SettingsError: A checkpoint's options are used with a recipe, or the reverse.
    """
    if order.has_recipe:
        if order.asked.given:
            raise SettingsError(
                f"{order.asked.given[0]} is for a checkpoint without a recipe, but {order.recipe} is a recipe, which "
                "says this itself; leave it out, or change the recipe by --set"
            )
        _check_recipe_file(Path(order.recipe))
        return read_recipe(Path(order.recipe), order.overrides), ()
    if order.model is not None or order.data_dir is not None:
        option = "--model" if order.model is not None else "--data-dir"
        raise SettingsError(
            f"{option} goes with a recipe (a .toml file), but {order.recipe:.80} is not one; leave it out, or name one"
        )
    text = order.asked.text
    if text is not None and not os.path.isfile(text):
        raise SettingsError(f"--text {text}: no such file; give a file of texts (.txt, .tsv, .csv, .jsonl)")
    folder = resolve(order.recipe)
    found = infer(order.recipe, folder, order.asked, TEXTS if text is None else text.name)
    recipe = overridden(found.recipe, order.overrides, order.recipe)
    check_early(folder, recipe, text)
    return recipe, tuple(fact for fact in found.facts if fact[0] != "tags" or "scheme" not in recipe.head)


def _check_recipe_file(path: Path) -> None:
    """Refuse files that are no recipe, with what to give instead.

    Raises:
        SettingsError: It is a file of a checkpoint or of a bundle, or holds nothing.
    """
    if not os.path.isfile(path):  # False too for a name that is too long
        return
    if path.suffix != ".toml" and any((path.parent / name).is_file() for name in ("config.json", bundle.MANIFEST)):
        raise SettingsError(f"{path}: a file in a model's folder, not a recipe (.toml); give the folder, {path.parent}")
    if not path.stat().st_size:
        raise SettingsError(f"{path}: an empty file; `edgebert recipe TASK` writes a recipe to fill in")


def _check_usable(formats: Sequence[str], form: str) -> None:
    """Refuse formats whose runtime cannot run here, since their graphs could not be scored.

    Raises:
        MissingDependencyError: Says what is missing.
    """
    for name in formats:
        row = FORMATS[name]
        if not (row.int8_only and form in FLOAT_FORMS) and (reason := row.unusable()):
            raise MissingDependencyError(f"export.formats holds {name}, but {reason}")


def _export(plan: Plan, key: str | None) -> Exported:
    # Reported before PyTorch is imported, which takes seconds.
    LOG.info("exporting %s for %s; finished stages are kept in %s", plan.recipe.name, plan.target.name, plan.work)
    _warn_of_saturation(plan.target, plan.form, plan.recipe.export.formats, this_cpu())
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    if distributed.is_main():
        _prepare(plan)
    check_data_files(plan.data_dir, data_files(plan.recipe))
    check_described(encoder_folder(resolve(plan.source)))
    from edgebert.compress.progress import end_bars
    from edgebert.pipeline import build

    if distributed.is_main():
        _say_replaced(plan.out, plan.recipe.name)
    try:
        built = build(plan)
    finally:
        end_bars()
    stages = [
        Stage(done.report.stage, done.title, done.report.metrics, done.cached, done.seconds) for done in built.done
    ]
    if distributed.is_main() and key and key == key_of(plan):  # else a file was changed while it was read
        shown = [ShownStage(stage.stage, stage.title, stage.metrics) for stage in stages]
        record(plan, key, built.stage_bundles, shown)
    exported = _exported(built.out, built.stage_bundles, stages, unchanged=False)
    return replace(exported, full_precision=built.full_precision)


def _prepare(plan: Plan) -> None:
    """Restore what a killed run had moved aside, and check that everything can be written.

    Raises:
        DiskError: The location of the bundle or of its stage bundles holds something else, or cannot be written.
    """
    bundle.restore(plan.out)
    bundle.check_replaceable(plan.out)
    bundle.check_stages(plan.out, are_written=plan.recipe.export.stages or plan.recipe.export.baseline)
    bundle.check_folder(plan.out)
    bundle.check_folder(plan.work, "--work")


def _exported(out: Path, stage_bundles: Sequence[Path], stages: Sequence[Stage], *, unchanged: bool) -> Exported:
    document = read_document(out)
    metrics, measured_on = (_table(document.get(key)) for key in ("metrics", "measured_on"))
    return Exported(out, bundle_hash(out), tuple(stage_bundles), metrics, measured_on, tuple(stages), unchanged)


def _table(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _earlier(shown: ShownStage) -> Stage:
    """A stage of an earlier export."""
    return Stage(shown.stage, shown.title, shown.metrics, cached=True, seconds=0.0)


@contextmanager
def _no_empty_work(work: Path) -> Iterator[None]:
    """Remove the folder of finished stages if the export is refused before it has made one there."""
    is_new = not work.exists()
    try:
        yield
    except InputError:
        if is_new and distributed.is_main() and work.is_dir() and {path.name for path in work.iterdir()} <= {TEXTS}:
            shutil.rmtree(work, ignore_errors=True)
        raise


@contextmanager
def _alone(out: Path, work: Path) -> Iterator[None]:
    """Lock both folders against other exports; processes of one distributed training count as one export."""
    bundle, stages = out.resolve(), work.resolve()
    if bundle == stages or bundle in stages.parents:
        raise SettingsError(f"--work {work} is in {out}, which the bundle will replace; give another --work")
    if not distributed.is_main():
        yield
        return
    with held(out, "--out"), held(work, "--work"):
        yield


def _target(profile: str, cpu: Cpu) -> Target:
    """Return the named profile, or the one that fits this machine."""
    if profile:
        return read_target(profile)
    name, why = fitting_profile(cpu)
    LOG.info("profile: %s, because %s; --profile names another", name, why)
    return read_target(name)


def _warn_of_saturation(target: Target, form: str, formats: Sequence[str], cpu: Cpu) -> None:
    """Warn before the work begins if INT8 sums will saturate here when quality is measured."""
    names = [FORMATS[name].name for name in formats]
    export = target.export
    planned = Int8Form(
        precision=f"int8-{form}",
        weight_type=export.weight_type,
        activation_type=export.activation_type,
        reduce_range=export.reduce_range,
        openvino_reduce_range=export.reduce_range if OPENVINO.name in names else None,
    )
    if form in ("dynamic", "static") and any(saturates(planned, name, cpu.int8) for name in names):
        name, _ = fitting_profile(cpu)
        LOG.warning(
            "warning: profile %s has eight-bit weights, whose INT8 sums saturate on this CPU (%s): "
            "quality is measured here, and is better on CPUs with VNNI; for this CPU: --profile %s",
            *(target.name, cpu, name),
        )


def _folder_of(recipe: str, name: str) -> str:
    """Return the bundle's folder if only the recipe names it: a folder directly in build/.

    Raises:
        SettingsError: The name cannot name a folder.
    """
    if name in (".", "..") or not re.fullmatch(r"[^/\\:\x00-\x1f]{1,100}", name):
        raise SettingsError(f"{recipe}: name is {name!r:.80}, which names no folder in build/; give --out")
    return f"build/{name}"


def _say_replaced(out: Path, name: str) -> None:
    """Say which bundle the new one replaces, if another recipe made it. A damaged one has no readable name."""
    with suppress(BundleError):
        standing = read_manifest(out).name
        if standing != name:
            old, new = shortened(standing), shortened(name)
            LOG.info("%s holds the bundle %r; %r will take its place when it is done", out, old, new)
