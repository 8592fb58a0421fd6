"""Every family: loading, saving, padding, students; what is refused, with which message."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from family_checkpoints import COUNT_PADDING, FAMILIES, PLAIN, make_family
from family_models import IDS, MASK, TASK, assert_same, change_config, load, logits, save, whole_logits
from safetensors.torch import load_file, save_file

from edgebert.compress import arch, checkpoint
from edgebert.compress.distill import Objective
from edgebert.compress.fit import check_fit
from edgebert.compress.student import make_student
from edgebert.errors import CheckpointError, SettingsError
from edgebert.exporters.onnx import PlainModel, fast_module
from edgebert.recipe import DistillLoss, read_recipe
from edgebert.runtime.encode import TextEncoder
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_checkpoint_passes_tells_its_labels_and_loads_whole(family: str, folders: dict[str, Path]) -> None:
    folder = folders[family]
    checkpoint.check_folder(folder)
    assert checkpoint.head_labels(folder) == ["LABEL_0", "LABEL_1"]
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager").eval()
    ours = load(folder)
    assert all(torch.equal(weight, ours.state_dict()[name]) for name, weight in theirs.state_dict().items())
    assert (whole_logits(ours) - whole_logits(theirs)).abs().max().item() <= 1e-6


@pytest.mark.parametrize("family", FAMILIES)
def test_saved_and_loaded_again_it_answers_bit_for_bit(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    model = load(folders[family])
    assert_same(load(save(model, folders[family], tmp_path)), model)


@pytest.mark.parametrize("family", ["distilbert", *COUNT_PADDING, "modernbert", "deberta-v2", "deberta"])
def test_segments_are_without_effect_where_a_family_has_none(family: str, folders: dict[str, Path]) -> None:
    model = load(folders[family])
    types = torch.ones_like(IDS)
    assert torch.equal(logits(model, token_type_ids=types), logits(model))
    student = make_student(model, (0, 2)).eval()
    assert torch.equal(logits(student, token_type_ids=types), logits(student))


@pytest.mark.parametrize("family", ["bert", "electra", "mobilebert"])
def test_segments_count_where_a_family_has_them(family: str, folders: dict[str, Path]) -> None:
    model = load(folders[family])
    assert not torch.allclose(logits(model, token_type_ids=torch.ones_like(IDS)), logits(model))


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_changes_no_answer(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    model = load(folders[family])
    padded = IDS.masked_fill(MASK == 0, model.config.pad_token_id)
    with torch.no_grad():
        together = model(input_ids=padded, attention_mask=MASK).logits
        alone = torch.cat([model(input_ids=row[mask == 1][None]).logits for row, mask in zip(IDS, MASK, strict=True)])
    assert (together - alone).abs().max().item() <= 1e-5
    assert_same(load(save(model, folders[family], tmp_path)), model)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_student_of_its_own_family_reloads(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    teacher = load(folders[family])
    student = make_student(teacher, (0, 2)).eval()
    assert arch.encoder_layers(student)[0] is not arch.encoder_layers(teacher)[0]
    for mine, his in zip(arch.encoder_layers(student), arch.encoder_layers(teacher)[::2], strict=True):
        assert all(torch.equal(*pair) for pair in zip(mine.parameters(), his.parameters(), strict=True))
    again = load(save(student, folders[family], tmp_path))
    assert_same(again, student)
    assert len(arch.encoder_layers(teacher)) == 3


@pytest.mark.parametrize("family", FAMILIES)
def test_the_best_distillation_loss_is_that_of_the_teacher_itself(family: str, folders: dict[str, Path]) -> None:
    teacher = load(folders[family])
    weights = DistillLoss(soft=1.0, hidden=1.0, relation=1.0)
    batch = {"input_ids": IDS, "attention_mask": MASK, "token_type_ids": torch.zeros_like(IDS)}
    batch["labels"] = torch.full((6,), -100)
    with torch.autocast("cpu", torch.bfloat16, enabled=False):
        losses = []
        for layers in ((0, 1, 2), (0, 2)):
            student = make_student(teacher, layers).eval()
            losses.append(Objective(teacher, student, layers, weights, TRAINING)(student, batch).item())
    assert losses[0] == pytest.approx(0.0, abs=1e-5)
    assert losses[1] > 1e-4


NOT_REWRITTEN = {
    "prune.samples=8": "models cannot be pruned",
    "quantize.smooth=0.5": "layers cannot be rewritten or smoothed",
    "distill.hidden_size=16": "models cannot be narrowed",
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_copy_trains_in_bfloat16(family: str, folders: dict[str, Path]) -> None:
    model = load(folders[family])
    student = make_student(model, (0, 1, 2)).eval()
    with torch.autocast("cpu", torch.bfloat16):
        found = student(input_ids=IDS, attention_mask=MASK).logits
    expected = logits(model)
    # Of what the answers are apart from one another: a constant would be off by all of it.
    assert (found.float() - expected).abs().max() <= 0.1 * (expected - expected.mean(0)).abs().max()
    found.float().square().sum().backward()
    assert all(weight.grad is not None for weight in arch.encoder_layers(student)[-1].parameters())


ASKS_TOO_MUCH = [
    ("roberta", "data.max_length=65", "data.max_length is 65.*positions for 64 tokens; give at most 64"),
    ("bert", "data.max_length=65", "data.max_length is 65.*positions for 64 tokens"),
    ("distilbert", "distill.layers=[0,3]", "the teacher has 3 layers"),
    ("electra", "distill.hidden_size=16", "electra models cannot be narrowed"),
    *((family, asked, f"{family} {says}") for family in PLAIN for asked, says in NOT_REWRITTEN.items()),
    *((family, "data.max_length=65", "data.max_length is 65.*positions for 64 tokens") for family in PLAIN),
    ("modernbert", "distill.layers=[1,2]", "the first layer of modernbert models has no norm before its attention"),
    ("bert", "vocabulary.rank=32", "vocabulary.rank is 32, but the word table is 32 wide"),
    ("electra", "vocabulary.rank=16", "vocabulary.rank is 16, but the word table is 16 wide"),
]


@pytest.mark.parametrize(("family", "setting", "says"), ASKS_TOO_MUCH)
def test_a_recipe_that_asks_too_much_is_refused_before_it_runs(
    family: str, setting: str, says: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(
        'name = "r"\ntask = "text-classification"\n[model]\nsource = "x"\n'
        '[data]\ntrain = "t.tsv"\nvalidation = "t.tsv"\nmax_length = 64\n'
    )
    bases = {"distill": ("distill.layers=[0,2]",), "vocabulary": ("vocabulary.recover.epochs=1", "vocabulary.rank=8")}
    base = bases.get(setting.partition(".")[0], ())
    check_fit(folders[family], read_recipe(path, base))
    with pytest.raises(SettingsError, match=says):
        check_fit(folders[family], read_recipe(path, (*base, setting)))


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        (
            {"model_type": "t5"},
            "'t5' is not supported; supported: bert, distilbert, electra, roberta, xlm-roberta, camembert",
        ),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ({"is_decoder": True}, "is_decoder is true"),
        ({"add_cross_attention": True}, "add_cross_attention is true"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantization_config is .*give the full-precision"),
        ({"use_return_dict": False}, "use_return_dict is False in config.json.*remove the entry"),
        ({"model_type": None}, 'no model_type; add "model_type": "roberta", which architectures'),
        ({"model_type": None, "architectures": None}, 'no model_type; add "model_type" with the family of'),
        ({"model_type": None, "architectures": ["MyModel"]}, "no model_type; add .*bert, distilbert, electra"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    entries: dict[str, Any], says: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders["roberta"], tmp_path / "model"))
    change_config(folder, **entries)
    with pytest.raises(CheckpointError, match=says):
        checkpoint.check_folder(folder)


def test_a_config_that_transformers_cannot_read_is_refused_in_one_line(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders["bert"], tmp_path / "model"))
    change_config(folder, hidden_size="wide")
    with pytest.raises(CheckpointError, match=r"config.json: transformers cannot read it \(.*hidden_size.*\)"):
        checkpoint.load_config(folder)


def test_an_mpnet_whose_padding_is_not_where_its_positions_begin_is_refused(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders["mpnet"], tmp_path / "model"))
    change_config(folder, pad_token_id=0)
    with pytest.raises(
        CheckpointError, match="pad_token_id is 0, but transformers counts the positions of mpnet from 1"
    ):
        checkpoint.check_folder(folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_entries_about_what_a_forward_pass_returns_change_no_answer(
    family: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders[family], tmp_path / "model"))
    returned = {"return_dict": False, "output_hidden_states": True, "output_attentions": True, "torchscript": True}
    computed = {"chunk_size_feed_forward": 5, "use_cache": False}
    # MobileBERT, whose pooler it leaves out, and ModernBERT, whose activation it is, alone know this entry.
    other = {} if family in ("mobilebert", "modernbert") else {"classifier_activation": False}
    change_config(folder, **returned, **computed, **other)
    assert checkpoint.has_head(folder, TASK, ["a", "b"])
    model = load(folder)
    assert_same(model, load(folders[family]))
    plain, fast = PlainModel(model, TRAINING), fast_module(model, TRAINING, 2, 32)
    inputs = {"input_ids": IDS, "attention_mask": MASK, "token_type_ids": torch.zeros_like(IDS)}
    with torch.no_grad():
        for module in (plain, fast):
            (found,) = module(**{name: inputs[name] for name in module.inputs})
            assert (found - logits(model)).abs().max().item() <= 1e-5
    change_config(folder, output_attentions=False, _attn_implementation="flash_attention_2")
    assert checkpoint.has_head(folder, TASK, ["a", "b"])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_decoder_of_its_own_stays_apart_from_the_word_table(family: str, tmp_path: Path) -> None:
    folder = make_family(tmp_path / "model", family, "MaskedLM", num_hidden_layers=1, tie_word_embeddings=False)
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    assert checkpoint.has_head(folder, "fill-mask", [])
    model = checkpoint.load_model(folder, "fill-mask", []).eval()
    again = checkpoint.load_model(save(model, folder, tmp_path / "saved"), "fill-mask", []).eval()
    for ours in (model, again):
        assert (whole_logits(ours) - whole_logits(theirs)).abs().max().item() <= 1e-5


LAST_TABLE = {
    "modernbert": "tok_embeddings.weight",
    "deberta-v2": "rel_embeddings.weight",
    "deberta": "rel_embeddings.weight",
}


@pytest.mark.parametrize("family", FAMILIES)
def test_an_encoder_that_is_not_whole_is_refused(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders[family], tmp_path / "model"))
    weights = load_file(folder / "model.safetensors")
    lost = next(name for name in weights if name.endswith(LAST_TABLE.get(family, "position_embeddings.weight")))
    save_file({name: weight for name, weight in weights.items() if name != lost}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=f"no {lost}"):
        load(folder)
    save_file({**weights, lost: weights[lost][:9].clone()}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=f"no {lost}"):
        load(folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_checkpoint_without_a_head_draws_one_from_the_seed(family: str, tmp_path: Path) -> None:
    folder = make_family(tmp_path, family, "MaskedLM")
    assert checkpoint.head_labels(folder) is None
    one, same, other = (checkpoint.load_model(folder, TASK, ["a", "b", "c"], seed).eval() for seed in (1, 1, 2))
    assert logits(one).shape == (6, 3)
    assert_same(one, same)
    assert not torch.allclose(logits(one), logits(other), atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_words_are_encoded_as_in_running_text(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    checkpoint.load_tokenizer(folders[family]).backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    encoder = TextEncoder(tmp_path / "tokenizer.json", 32)
    # Words in bytes are known by the space before them; in running text the first has one only where it is written.
    text = " the story was lovely" if family in ("roberta", "modernbert", "deberta") else "the story was lovely"
    (window,) = encoder.encode_words(("the", "story", "was", "lovely"), 0)
    assert window.ids == encoder.encode(text).ids
    assert [word for word in dict.fromkeys(window.words) if word is not None] == [0, 1, 2, 3]
