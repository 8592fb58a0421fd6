"""Recipes: strict reading, --set, and every recipe in the repository checked against the code."""

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from edgebert.cli import main
from edgebert.data.examples import Columns
from edgebert.errors import SettingsError
from edgebert.measure.suite import read_suite
from edgebert.precision import quantization
from edgebert.recipe import VocabularySettings, read_recipe, settings_dict
from edgebert.target import PROFILES, profile_names, read_target
from edgebert.tasks.table import spec_of, task_names

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "export").glob("*.toml"))
SUITES = sorted((ROOT / "bench" / "suites").glob("*.toml"))
MINIMAL = """
name = "x"
task = "text-classification"
[model]
source = "folder"
"""


@pytest.fixture
def minimal(tmp_path: Path) -> Path:
    path = tmp_path / "x.toml"
    path.write_text(MINIMAL)
    return path


def refused(path: Path, *overrides: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read_recipe(path, overrides)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_recipe_needs_a_name_a_task_and_a_model_only(minimal: Path) -> None:
    recipe = read_recipe(minimal)
    assert (recipe.name, recipe.task, recipe.model.source) == ("x", "text-classification", "folder")
    assert (recipe.finetune, recipe.distill, recipe.prune) == (None, None, None)
    assert recipe.quantize.format == "profile"
    assert recipe.export.formats == ("onnx",)
    assert (recipe.metric, recipe.head) == ("accuracy", {})
    assert recipe.data.columns() == Columns("text", "", "label", True, "suffix")


def test_windows_share_at_most_half_of_what_they_hold(minimal: Path) -> None:
    tagger = ("task=token-classification", "data.max_length=32")
    assert read_recipe(minimal, (*tagger, "head.stride=16")).head == {"stride": 16}
    assert read_recipe(minimal, tagger).head == {}
    message = refused(minimal, *tagger, "head.stride=17")
    assert "'head.stride' is 17; expected at most 16, half of data.max_length" in message


def test_smoothing_needs_the_rewritten_graph(minimal: Path) -> None:
    assert read_recipe(minimal, ("quantize.smooth=0.5",)).quantize.smooth == 0.5
    message = refused(minimal, "quantize.smooth=0.5", "export.graph=plain")
    assert "quantize.smooth" in message
    assert "fast" in message
    assert "percentile" in refused(minimal, "quantize.calibration=median")


def test_the_metric_is_the_one_that_is_named_else_the_first_of_the_task(minimal: Path) -> None:
    assert read_recipe(minimal, ("metric=matthews",)).metric == "matthews"
    for task in task_names():
        assert read_recipe(minimal, (f"task={task}",)).metric == next(iter(spec_of(task).metrics))


def test_a_table_without_a_header_is_asked_for_by_column_numbers(minimal: Path) -> None:
    overrides = ("data.header=false", "data.delimiter=tab", 'data.text="6"', 'data.text_pair="7"', 'data.label="5"')
    assert read_recipe(minimal, overrides).data.columns() == Columns("6", "7", "5", False, "tab")


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (('"folder"', '" "'), ["model: source is blank", "package:NAME"]),
        (('"x"', '""'), ["file: name is blank"]),
        (("source =", "sauce ="), ["unknown key 'model.sauce'", "allowed here: licence, source"]),
        (('name = "x"', ""), ["key 'name' is missing"]),
        (("[model]\nsource", "model"), ["'model' is 'folder'", "a table"]),
        (
            ('"text-classification"', '"translation"'),
            ["'task': task 'translation' is not known", "text-classification"],
        ),
        (('"text-classification"', '"text_classification"'), ["'task': task 'text_classification' is not known"]),
        (("[model]", "[head]\nwidth = 3\n[model]"), ["unknown key 'head.width'"]),
        (("[model]", "head = 3\n[model]"), ["'head' is 3; expected a table"]),
    ],
)
def test_a_wrong_recipe_names_file_key_and_what_is_allowed(
    change: tuple[str, str], parts: list[str], minimal: Path
) -> None:
    minimal.write_text(MINIMAL.replace(*change))
    message = refused(minimal)
    assert message.startswith(f"{minimal}: ")
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("data.max_length=7", ["'data.max_length' is 7", "between 8 and 512"]),
        ("data.max_length=513", ["'data.max_length' is 513", "between 8 and 512"]),
        ("seed=-1", ["'seed' is -1", "between 0 and 2147483648"]),
        ("finetune.epochs=nan", ["'finetune.epochs' is nan", "between 0.01 and 1000"]),
        ("finetune.epochs=many", ["'finetune.epochs' is 'many'", "float"]),
        ("finetune.epochs=", ["'finetune.epochs' is ''", "float"]),
        ("finetune.epoch=1", ["unknown key 'finetune.epoch'", "epochs"]),
        ("prune.recover.precision=fp16", ["'prune.recover.precision' is 'fp16'", "'auto', 'bf16', 'fp32'"]),
        ("prune.head_sparsity=1.0", ["'prune.head_sparsity' is 1.0", "between 0.0 and 0.95"]),
        ("metric=bleu", ["'metric' is 'bleu'", "'accuracy', 'f1', 'macro_f1', 'matthews' for text-classification"]),
        ("metric=spearman", ["'metric' is 'spearman'", "'accuracy', 'f1'", "for text-classification"]),
        ("head.threshold=0.5", ["unknown key 'head.threshold'"]),
        ("data.delimiter=colon", ["'data.delimiter' is 'colon'", "'suffix', 'tab', 'comma', 'semicolon'"]),
        ("data.header=1", ["'data.header' is 1", "bool"]),
        ("distill.layers=[2, 1]", ["distill", "[2, 1]", "rising order"]),
        ("distill.layers=[1, 1]", ["distill", "[1, 1]", "rising order"]),
        ("distill.layers=[]", ["distill", "[]", "rising order"]),
        ("distill.layers=[-1, 2]", ["'distill.layers' is (-1, 2)", "between 0 and 1000"]),
        ("vocabulary.minimum_count=0", ["'vocabulary.minimum_count' is 0", "between 1 and 1000000000"]),
        ("vocabulary.rank=8", ["vocabulary: rank is 8", "[vocabulary.recover]"]),
        ('vocabulary.keep=["yes", " "]', ["vocabulary: keep is ['yes', ' ']", "not blank"]),
        ("vocabulary.size=0", ["[vocabulary]", "name data.train, data.unlabelled or vocabulary.corpus"]),
        ("distill.loss={soft = 0, hidden = 0}", ["distill.loss", "every loss weight is 0"]),
        ("export.formats=[]", ["export", "formats is empty", "onnx, openvino"]),
        ('export.formats=["tflite"]', ["'export.formats[0]' is 'tflite'", "'onnx', 'openvino'"]),
    ],
)
def test_an_override_is_held_to_the_same_rules(override: str, parts: list[str], minimal: Path) -> None:
    message = refused(minimal, override)
    for part in (str(minimal), *parts):
        assert part in message


@pytest.mark.parametrize("override", ["name.first=x", "model.source.folder=x"])
def test_a_key_below_a_value_is_told(override: str, minimal: Path) -> None:
    *_, parent, _ = override.partition("=")[0].split(".")
    assert refused(minimal, override) == f"setting {override[:-2]}: '{parent}' is a value, not a table"


@pytest.mark.parametrize("override", ["seed", "=1", ""])
def test_a_malformed_override_is_told_as_it_was_given(override: str, minimal: Path) -> None:
    assert refused(minimal, override).startswith(f"--set {override!r}: ")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("[" * 5_000, "nested too deeply"),
        ("1" * 5_000, "a whole number of more than 4,300 digits"),
        ('"a\\u0000"', "a text holds the character U+0000"),
    ],
)
def test_an_override_that_toml_cannot_hold_is_told(value: str, says: str, minimal: Path) -> None:
    assert refused(minimal, f"data.train={value}").startswith(f"--set data.train: {says}")


def test_overrides_reach_every_table_and_the_last_one_wins(minimal: Path) -> None:
    overrides = ("seed=1", "seed=2", "data.text=sentence", "data.label_names.0=no", "quantize.format=none")
    recipe = read_recipe(minimal, (*overrides, 'export.formats=["openvino"]', "model.source=a=b"))
    assert (recipe.seed, recipe.data.text, recipe.data.label_names) == (2, "sentence", {"0": "no"})
    assert (recipe.quantize.format, recipe.export.formats, recipe.model.source) == ("none", ("openvino",), "a=b")


@pytest.mark.parametrize("stage", ["finetune", "distill", "prune"])
def test_a_training_stage_needs_train_and_validation_data(stage: str, minimal: Path) -> None:
    minimal.write_text(MINIMAL + f"[{stage}]\n")
    assert "training stages need 'data.train'; name the file" in refused(minimal)
    assert read_recipe(minimal, ("data.train=a.tsv",)).cuts_validation
    refusal = refused(minimal, "data.train=a.tsv", "task=similarity")
    assert "training stages of similarity need 'data.validation'; name the file" in refusal
    recipe = read_recipe(minimal, ("data.train=a.tsv", "data.validation=b.tsv"))
    assert getattr(recipe, stage) is not None
    assert not recipe.cuts_validation


def test_a_vocabulary_is_cut_without_training_data_but_not_recovered(minimal: Path) -> None:
    minimal.write_text(MINIMAL + '[vocabulary]\ncorpus = ["words.txt"]\n')
    assert read_recipe(minimal).vocabulary == VocabularySettings(corpus=("words.txt",))
    assert "need 'data.train'" in refused(minimal, "vocabulary.recover.epochs=1")


def test_a_wrong_override_ends_the_command_with_2_and_one_line(
    minimal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(minimal), "--set", "data.limit=-1"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"edgebert: {minimal}: 'data.limit' is -1; expected a value between 0 and 1000000000\n"


def test_settings_as_a_dictionary_are_plain_json(minimal: Path) -> None:
    plain = settings_dict(read_recipe(minimal))
    assert plain["export"]["formats"] == ["onnx"]
    assert plain["model"] == {"source": "folder", "licence": ""}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_one_that_the_code_can_run(path: Path) -> None:
    recipe = read_recipe(path)
    # It is for this machine, and shows how to name another one.
    assert recipe.profile == ""
    (shown,) = re.findall(r'^# profile = "(.+?)"', path.read_text(), flags=re.MULTILINE)
    assert shown in profile_names()
    if recipe.model.source.startswith("package:"):
        assert recipe.model.licence, "a recipe that chooses the base model states its licence"
    if recipe.distill:
        assert list(recipe.distill.layers) == sorted(set(recipe.distill.layers))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_has_a_quantization_for_every_cpu(path: Path) -> None:
    recipe = read_recipe(path)
    found = {quantization(recipe, read_target(profile)) for profile in PROFILES.values()}
    assert found <= {"dynamic", "static", "fp16"}


def test_tables_that_a_recipe_shows_are_ones_that_the_code_can_run(tmp_path: Path) -> None:
    shown = (ROOT / "export" / "text-classification.toml").read_text()
    path = tmp_path / "on.toml"
    path.write_text(re.sub(r"^# (?=\[|\w+ = )", "", shown, flags=re.MULTILINE))
    assert read_recipe(ROOT / "export" / "text-classification.toml").vocabulary is None
    settings = read_recipe(path).vocabulary
    assert settings is not None
    assert settings.recover is not None
    assert replace(settings, recover=None) == VocabularySettings()
    assert read_recipe(path).quantize.recover is not None
    table = shown.partition("# [vocabulary]")[2].partition("# [vocabulary.recover]")[0]
    known = {field.name for field in fields(VocabularySettings)} - {"recover", "loss"}
    assert set(re.findall(r"^# (\w+) = ", table, flags=re.MULTILINE)) == known


def test_there_are_recipes_to_bind() -> None:
    assert {"demo", "sst2"} <= {path.stem for path in RECIPES}


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_every_shipped_suite_is_one_that_bench_can_run(path: Path) -> None:
    assert read_suite(path).name == path.stem
