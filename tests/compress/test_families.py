"""Every family through loading, students, pruning, saving; folders of transformers 4; what is refused and how."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from family_checkpoints import BERT_LIKE, FAMILIES, PAIRED, STANDARD, WORDPIECES, byte_pairs, make_family
from safetensors.torch import load_file, save_file

from edgebert.compress import arch, checkpoint
from edgebert.compress.data import EncodedRows
from edgebert.compress.distill import Objective
from edgebert.compress.fit import check_fit
from edgebert.compress.importance import Importance, measure_importance
from edgebert.compress.masks import Masks, masked
from edgebert.compress.prune import check_prunable, choose, cut
from edgebert.compress.student import make_student
from edgebert.compress.tasks import text_classification as half
from edgebert.errors import CheckpointError, SettingsError
from edgebert.recipe import DistillLoss, read_recipe
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.workdir import model_hash

TASK, LABELS = "text-classification", ["a", "b"]
IDS = torch.randint(5, 40, (6, 12), generator=torch.Generator().manual_seed(0))
MASK = torch.ones_like(IDS)
MASK[1, 7:] = 0
MASK[3, 3:] = 0


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder with a head of two labels for every family; treat them as read-only."""
    return {family: make_family(tmp_path_factory.mktemp(family), family) for family in FAMILIES}


def load(folder: Path) -> Any:
    return checkpoint.load_model(folder, TASK, LABELS).eval()


def logits(model: Any, **more: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS, attention_mask=MASK, **more).logits
    return found


def assert_same(model: Any, other: Any) -> None:
    """Bit for bit the same weights, and answers as near as the order of sums allows."""
    weights, others = model.state_dict(), other.state_dict()
    assert weights.keys() == others.keys()
    assert all(torch.equal(weight, others[name]) for name, weight in weights.items())
    assert (logits(model) - logits(other)).abs().max().item() <= 1e-6


def random_masks(model: Any, seed: int = 1) -> Masks:
    random = torch.Generator().manual_seed(seed)
    shapes = arch.layer_shapes(model)
    scores = Importance(
        [torch.rand(shape.heads, generator=random) for shape in shapes],
        [torch.rand(shape.ffn, generator=random) for shape in shapes],
    )
    return choose(scores, 0.5, 0.5, ffn_multiple=4)


def save(model: Any, source: Path, out: Path) -> Path:
    checkpoint.save_model(model, checkpoint.load_tokenizer(source), out)
    return out


@pytest.mark.parametrize("family", FAMILIES)
def test_a_checkpoint_passes_tells_its_labels_and_loads_whole(family: str, folders: dict[str, Path]) -> None:
    folder = folders[family]
    checkpoint.check_folder(folder)
    assert checkpoint.head_labels(folder) == ["LABEL_0", "LABEL_1"]
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager").eval()
    assert_same(load(folder), theirs)


@pytest.mark.parametrize("family", FAMILIES)
def test_saved_and_loaded_again_it_answers_bit_for_bit(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    model = load(folders[family])
    assert_same(load(save(model, folders[family], tmp_path)), model)


@pytest.mark.parametrize("family", ["distilbert", "roberta"])
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
    with torch.autocast("cpu", torch.bfloat16, enabled=False), pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgebert.compress.distill.has_bf16", lambda: False)
        losses = []
        for layers in ((0, 1, 2), (0, 2)):
            student = make_student(teacher, layers).eval()
            losses.append(Objective(teacher, student, layers, weights, half)(student, batch).item())
    assert losses[0] == pytest.approx(0.0, abs=1e-5)
    assert losses[1] > 1e-4


@pytest.mark.parametrize("family", STANDARD)
def test_the_cut_model_is_the_masked_model(family: str, folders: dict[str, Path]) -> None:
    model = load(folders[family])
    masks = random_masks(model)
    untouched = logits(model)
    with masked(model, masks):
        expected = logits(model)
    cut(model, masks)
    assert (logits(model) - expected).abs().max().item() <= 1e-5
    assert (expected - untouched).abs().max().item() > 1e-4, "the masks changed nothing: the test would prove nothing"


@pytest.mark.parametrize("family", STANDARD)
def test_a_pruned_model_reloads_bit_for_bit(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    model = load(folders[family])
    cut(model, random_masks(model))
    shapes = arch.layer_shapes(model)
    again = load(save(model, folders[family], tmp_path))
    assert arch.layer_shapes(again) == shapes
    assert len(set(shapes)) > 1
    assert_same(again, model)
    student = make_student(again, (1,)).eval()
    assert arch.layer_shapes(load(save(student, folders[family], tmp_path / "student"))) == shapes[1:2]


@pytest.mark.parametrize("family", STANDARD)
def test_a_head_that_does_nothing_has_no_importance(family: str, folders: dict[str, Path]) -> None:
    model = load(folders[family])
    parts = arch.layer_parts(arch.encoder_layers(model)[0])
    with torch.no_grad():
        parts.attention_output.weight[:, :8] = 0.0
        parts.ffn_out.weight[:, 5] = 0.0
    rows = EncodedRows([Encoded(row.tolist(), [0] * 12) for row in IDS], [{"labels": at % 2} for at in range(6)])
    scores = measure_importance(model, rows, "fisher", 6, 0, half, model.config.pad_token_id)
    assert scores.heads[0][0].item() == scores.ffn[0][5].item() == 0.0
    assert (scores.heads[0][1:] > 0).all()


@pytest.mark.parametrize("head", ["TokenClassification", "QuestionAnswering", "MaskedLM", "SequenceClassification", ""])
def test_a_bert_of_any_head_is_narrowed_and_reloads(head: str, tmp_path: Path) -> None:
    folder = make_family(tmp_path / "teacher", "bert", head)
    model_class = getattr(transformers, f"AutoModelFor{head}" if head else "AutoModel")
    teacher = model_class.from_pretrained(folder, attn_implementation="eager").eval()
    student = make_student(teacher, (0, 2), hidden_size=16).eval()
    save(student, folder, tmp_path / "student")
    again, info = model_class.from_pretrained(
        tmp_path / "student", attn_implementation="eager", output_loading_info=True
    )
    assert not info["mismatched_keys"]
    assert not info["unexpected_keys"]
    assert again.config.hidden_size == 16
    with torch.no_grad():
        pair = [model(input_ids=IDS, attention_mask=MASK) for model in (student, again.eval())]
    for name in pair[0]:
        assert (pair[0][name] - pair[1][name]).abs().max().item() <= 1e-6, name


def test_a_tied_decoder_is_saved_once_and_stays_tied(tmp_path: Path) -> None:
    folder = make_family(tmp_path / "teacher", "bert", "MaskedLM")
    teacher = transformers.AutoModelForMaskedLM.from_pretrained(folder, attn_implementation="eager").eval()
    student = make_student(teacher, (0, 2), hidden_size=16)
    assert student.cls.predictions.decoder.weight is student.bert.embeddings.word_embeddings.weight
    names = load_file(save(student, folder, tmp_path / "student") / "model.safetensors").keys()
    assert "bert.embeddings.word_embeddings.weight" in names
    assert "cls.predictions.decoder.weight" not in names


def test_a_head_that_cannot_be_narrowed_is_refused_by_name(tmp_path: Path) -> None:
    folder = make_family(tmp_path, "bert", "NextSentencePrediction")
    teacher = transformers.AutoModelForNextSentencePrediction.from_pretrained(folder)
    with pytest.raises(SettingsError, match=r"the head 'cls' \(BertOnlyNSPHead\)"):
        make_student(teacher, (0,), hidden_size=16)


@pytest.mark.parametrize("family", ["distilbert", "electra", "roberta", "mobilebert"])
def test_narrowing_another_family_is_refused(family: str, folders: dict[str, Path]) -> None:
    with pytest.raises(SettingsError, match=f"hidden_size is 16: {family} models cannot be narrowed, only bert"):
        make_student(load(folders[family]), (0, 2), hidden_size=16)


def test_pruning_bottlenecks_is_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(SettingsError, match="mobilebert models cannot be pruned, only those of bert, distilbert, ele"):
        check_prunable(load(folders["mobilebert"]).config)


ASKS_TOO_MUCH = [
    ("roberta", "data.max_length=65", "data.max_length is 65.*positions for 64 tokens; give at most 64"),
    ("bert", "data.max_length=65", "data.max_length is 65.*positions for 64 tokens"),
    ("distilbert", "distill.layers=[0,3]", "the teacher has 3 layers"),
    ("electra", "distill.hidden_size=16", "electra models cannot be narrowed"),
    ("mobilebert", "prune.samples=8", "mobilebert models cannot be pruned"),
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


def change_config(folder: Path, drop: tuple[str, ...] = (), **entries: Any) -> None:
    path = folder / "config.json"
    config = {name: value for name, value in json.loads(path.read_text()).items() if name not in drop}
    path.write_text(json.dumps({**config, **entries}))


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        (
            {"model_type": "xlm-roberta"},
            "'xlm-roberta' is not supported; supported: bert, distilbert, electra, roberta",
        ),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ({"is_decoder": True}, "is_decoder is true"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    entries: dict[str, Any], says: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders["roberta"], tmp_path / "model"))
    change_config(folder, **entries)
    with pytest.raises(CheckpointError, match=says):
        checkpoint.check_folder(folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_encoder_that_is_not_whole_is_refused(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders[family], tmp_path / "model"))
    weights = load_file(folder / "model.safetensors")
    lost = next(name for name in weights if name.endswith("position_embeddings.weight"))
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


def older(folder: Path, family: str, tokenizer: str) -> Path:
    """Rewrite a folder as transformers 4 saved it, the tokenizer as files of `tokenizer`: "vocabulary" or "json"."""
    weights = load_file(folder / "model.safetensors")
    prefix = "distilbert" if family == "distilbert" else family
    renamed = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): weight
        for name, weight in weights.items()
    }
    positions = next(weight for name, weight in weights.items() if name.endswith("position_embeddings.weight"))
    renamed[f"{prefix}.embeddings.position_ids"] = torch.arange(len(positions))[None].contiguous()
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
    change_config(
        folder, ("dtype",), torch_dtype="float32", transformers_version="4.30.2", position_embedding_type="absolute"
    )
    if tokenizer == "vocabulary":
        older_tokenizer(folder, family)
    return folder


def older_tokenizer(folder: Path, family: str) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    special = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    special["mask_token"] = "[MASK]"
    config: dict[str, Any] = {"do_lower_case": True, "model_max_length": 512, "tokenizer_class": "BertTokenizer"}
    classes = {"distilbert": "DistilBertTokenizer", "electra": "ElectraTokenizer", "mobilebert": "MobileBertTokenizer"}
    if family == "roberta":
        vocabulary, merges = byte_pairs()
        (folder / "vocab.json").write_text(json.dumps(vocabulary))
        lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
        (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        special = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
        special |= {"bos_token": "<s>", "eos_token": "</s>"}
        config = {"model_max_length": 512, "tokenizer_class": "RobertaTokenizer", "add_prefix_space": False}
    else:
        (folder / "vocab.txt").write_text("\n".join(WORDPIECES) + "\n")
        config["tokenizer_class"] = classes.get(family, "BertTokenizer")
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def tokens(folder: Path, out: Path) -> list[list[int]]:
    tokenizer = checkpoint.load_tokenizer(folder)
    out.mkdir()
    tokenizer.backend_tokenizer.save(str(out / "tokenizer.json"))
    encoder = TextEncoder(out / "tokenizer.json", 16)
    texts = [text for pair in PAIRED for text in pair] + ["A Good FILM, and <pad> the <s> end"]
    return [encoder.encode(text).ids for text in texts] + [encoder.encode_pair(*pair).ids for pair in PAIRED]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tokenizer", ["vocabulary", "json"])
def test_a_folder_of_transformers_4_is_the_same_model(
    family: str, tokenizer: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = older(Path(shutil.copytree(folders[family], tmp_path / "model")), family, tokenizer)
    checkpoint.check_folder(folder)
    assert_same(load(folder), load(folders[family]))
    assert tokens(folder, tmp_path / "older") == tokens(folders[family], tmp_path / "newer")
    report = checkpoint.take_over(folder, TASK, LABELS, tmp_path / "taken")
    assert report.stage == "take-over"
    checkpoint.check_folder(tmp_path / "taken")
    assert_same(load(tmp_path / "taken"), load(folders[family]))


@pytest.mark.parametrize("family", BERT_LIKE)
def test_a_vocabulary_file_alone_is_a_tokenizer(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    folder = older(Path(shutil.copytree(folders[family], tmp_path / "model")), family, "vocabulary")
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).unlink()
    checkpoint.check_folder(folder)
    assert tokens(folder, tmp_path / "older") == tokens(folders[family], tmp_path / "newer")


def test_special_tokens_written_as_objects_are_read(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = older(Path(shutil.copytree(folders["roberta"], tmp_path / "model")), "roberta", "vocabulary")
    path = folder / "special_tokens_map.json"
    flags = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    special = {name: {"content": token, **flags} for name, token in json.loads(path.read_text()).items()}
    special["mask_token"] = {"content": "<mask>", **flags, "lstrip": True}
    path.write_text(json.dumps(special))
    assert tokens(folder, tmp_path / "older") == tokens(folders["roberta"], tmp_path / "newer")


def test_merges_without_a_vocabulary_are_no_tokenizer(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = older(Path(shutil.copytree(folders["roberta"], tmp_path / "model")), "roberta", "vocabulary")
    (folder / "vocab.json").unlink()
    with pytest.raises(CheckpointError, match=r"no tokenizer\.json, vocab\.txt, or vocab\.json with merges\.txt"):
        checkpoint.check_folder(folder)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_the_hash_of_an_older_folder_covers_its_tokenizer(
    family: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = older(Path(shutil.copytree(folders[family], tmp_path / "model")), family, "vocabulary")
    before = model_hash(folder)
    name = "merges.txt" if family == "roberta" else "vocab.txt"
    (folder / name).write_text((folder / name).read_text(encoding="utf-8") + "z z\n", encoding="utf-8")
    assert model_hash(folder) != before


@pytest.mark.parametrize("half_precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("key", ["dtype", "torch_dtype"])
def test_a_half_precision_checkpoint_is_loaded_and_pruned_in_full(
    half_precision: str, key: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders["bert"], tmp_path / "model"))
    kind = getattr(torch, half_precision)
    weights = {name: weight.to(kind) for name, weight in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    change_config(folder, ("dtype",), **{key: half_precision})
    model = load(folder)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    with torch.no_grad():
        model.classifier.weight += 1e-6
    cut(model, random_masks(model))
    again = load(save(model, folder, tmp_path / "pruned"))
    assert {parameter.dtype for parameter in again.parameters()} == {torch.float32}
    assert_same(again, model)
    assert "float32" in (tmp_path / "pruned" / "config.json").read_text()


@pytest.mark.parametrize("family", FAMILIES)
def test_words_are_encoded_as_in_running_text(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    checkpoint.load_tokenizer(folders[family]).backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    encoder = TextEncoder(tmp_path / "tokenizer.json", 32)
    # RoBERTa's words are known by the space before them; in running text the first has one only where it is written.
    text = " the story was lovely" if family == "roberta" else "the story was lovely"
    (window,) = encoder.encode_words(("the", "story", "was", "lovely"), 0)
    assert window.ids == encoder.encode(text).ids
    assert [word for word in dict.fromkeys(window.words) if word is not None] == [0, 1, 2, 3]
