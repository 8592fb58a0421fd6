"""ModernBERT: config entries have their effect as in transformers or are refused by name; its tokenizers load."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from family_checkpoints import make_family
from family_models import IDS, MASK, change_config, load, save
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken
from tokenizers.processors import TemplateProcessing
from trained_tokenizers import learn_fallback
from vocabulary_cuts import CORPUS, OTHER, cut, data_of, examples, outputs

from edgebert.compress import checkpoint
from edgebert.compress.student import make_student
from edgebert.errors import CheckpointError
from edgebert.runtime.encode import TextEncoder
from edgebert.tasks.training_table import training_task

GEMMA = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
LAYERS = ["full_attention", "sliding_attention", "sliding_attention"]
FOLLOWED: list[dict[str, Any]] = [
    {"classifier_pooling": "mean"},
    {"local_attention": 2},
    {"global_attn_every_n_layers": 2},
    {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
    {"rope_parameters": {"full_attention": {"rope_theta": 50.0}, "sliding_attention": {"rope_theta": 7.0}}},
    {"attention_bias": True, "mlp_bias": True, "norm_bias": True, "classifier_bias": True},
    {"hidden_activation": "relu"},
    {"classifier_activation": "tanh"},
    {"norm_eps": 0.1},
    {"deterministic_flash_attn": True, "sparse_prediction": True, "reference_compile": True},
]


def answers(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS, attention_mask=MASK).logits
    return found


@pytest.mark.parametrize("entries", FOLLOWED, ids=lambda entries: next(iter(entries)))
def test_entries_that_change_the_forward_pass_are_followed(entries: dict[str, Any], tmp_path: Path) -> None:
    plain, folder = (make_family(tmp_path / name, "modernbert", **more) for name, more in (("a", {}), ("b", entries)))
    checkpoint.check_folder(folder)
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager")
    ours = load(folder)
    assert (answers(ours) - answers(theirs.eval())).abs().max().item() <= 1e-6
    if "reference_compile" not in entries:
        assert (answers(ours) - answers(load(plain))).abs().max().item() > 1e-4
    # Saved and loaded, shorter too, it is the same.
    student = make_student(ours, (0, 2)).eval()
    assert torch.equal(answers(load(save(student, folder, tmp_path / "student"))), answers(student))


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"classifier_pooling": "max"}, "classifier_pooling is 'max'; expected 'cls' or 'mean'"),
    ({"attention_bias": 1}, "attention_bias is 1; expected true or false"),
    ({"layer_types": LAYERS[:2]}, "layer_types is .*for each of 3 layers"),
    ({"layer_types": [*LAYERS[:2], "linear_attention"]}, "layer_types is .*expected full_attention or sliding"),
    ({"local_attention": 0}, "local_attention is 0; expected a whole number from 1"),
    ({"sliding_window": 7}, "sliding_window is 7, but half of local_attention is 4"),
    ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rope_scaling is .*remove the entry"),
    ({"rope_parameters": {"rope_type": "default", "rope_theta": 9.0}}, "rope_parameters is .*as transformers 5 saves"),
    ({"rope_parameters": {"full_attention": {"rope_type": "dynamic"}}}, "rope_parameters.full_attention is .*dynamic"),
    ({"rope_parameters": None, "local_rope_theta": None}, "local_rope_theta is None; .*such as global_rope_theta's"),
    ({"rope_parameters": None, "global_rope_theta": -1}, "global_rope_theta is -1; expected a number above 0"),
    ({"global_rope_theta": 5.0}, "global_rope_theta is 5.0, but rope_parameters.full_attention.rope_theta 160000.0"),
    ({"norm_eps": 0}, "norm_eps is 0; expected a number above 0"),
    ({"classifier_activation": "gleu"}, "classifier_activation is 'gleu'; expected an activation"),
    ({"model_type": "modernbert-decoder"}, "'modernbert-decoder' is not supported"),
]


@pytest.mark.parametrize(("entries", "says"), REFUSED)
def test_entries_that_a_bundle_would_not_follow_are_refused(
    entries: dict[str, Any], says: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders["modernbert"], tmp_path / "model"))
    change_config(folder, **entries)
    with pytest.raises(CheckpointError, match=says):
        checkpoint.check_folder(folder)


def test_weights_with_biases_that_the_config_leaves_out_are_refused(tmp_path: Path) -> None:
    folder = make_family(tmp_path, "modernbert", mlp_bias=True)
    change_config(folder, mlp_bias=False)
    with pytest.raises(CheckpointError, match=r"mlp_bias is not true, but the weights have .*Wi\.bias; set it to true"):
        checkpoint.check_folder(folder)


def test_a_decoder_s_bias_that_the_config_leaves_out_is_refused(tmp_path: Path) -> None:
    folder = make_family(tmp_path, "modernbert", "MaskedLM")
    checkpoint.check_folder(folder)
    change_config(folder, decoder_bias=False)
    with pytest.raises(CheckpointError, match=r"decoder_bias is not true, but the weights have decoder\.bias"):
        checkpoint.check_folder(folder)


def test_a_head_of_another_task_is_not_taken_for_the_task_s_own(tmp_path: Path) -> None:
    texts = make_family(tmp_path / "texts", "modernbert")
    assert checkpoint.has_head(texts, "text-classification", ["a", "b"])
    says = "architectures names ModernBertForSequenceClassification, whose head has the same weights as that of "
    assert checkpoint.lack_of_head(texts, "question-answering", []) == f"{says}ModernBertForQuestionAnswering"
    answers = make_family(tmp_path / "answers", "modernbert", "QuestionAnswering")
    assert checkpoint.has_head(answers, "question-answering", [])
    assert checkpoint.head_labels(answers) is None


def test_a_folder_without_the_encoder_s_name_before_its_weights_is_the_same_encoder(tmp_path: Path) -> None:
    folder = make_family(tmp_path, "modernbert", "")
    weights = load_file(folder / "model.safetensors")
    model = checkpoint.load_model(folder, "similarity", []).eval()
    named = {f"model.{name}": weight for name, weight in weights.items()}
    save_file(named, folder / "model.safetensors", metadata={"format": "pt"})
    checkpoint.check_folder(folder)
    again = checkpoint.load_model(folder, "similarity", []).eval()
    task = training_task("similarity")
    with torch.no_grad():
        one, other = (task.outputs(each(input_ids=IDS, attention_mask=MASK))[0] for each in (model, again))
    assert torch.equal(one, other)


@pytest.fixture
def many_languages(tmp_path: Path) -> Path:
    """A folder like mmBERT's: ModernBERT's layers, and a tokenizer of Gemma's kind."""
    tokenizer = learn_fallback(["日本 a good film", *CORPUS, *OTHER], GEMMA, 400)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in GEMMA])
    ends = [(token, tokenizer.token_to_id(token)) for token in ("<bos>", "<eos>")]
    tokenizer.post_processor = TemplateProcessing("<bos> $A <eos>", "<bos> $A <eos> $B:1 <eos>:1", ends)
    names = {"cls_token": "<bos>", "sep_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"}
    whole = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, mask_token="<mask>", **names)
    return make_family(tmp_path / "model", "modernbert", tokenizer=whole, pad_token_id=0)


def test_a_tokenizer_of_gemma_s_kind_has_the_ids_of_transformers(many_languages: Path, tmp_path: Path) -> None:
    checkpoint.check_folder(many_languages)
    theirs = transformers.AutoTokenizer.from_pretrained(many_languages)
    checkpoint.load_tokenizer(many_languages).backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    ours = TextEncoder(tmp_path / "tokenizer.json", 64)
    for text in [*CORPUS, "  two  spaces ", "日本 film", "unseen: ß 🙂", "a <mask> film"]:
        assert ours.encode(text).ids == theirs(text)["input_ids"]
        words = text.split()
        if words:
            (window,) = ours.encode_words(tuple(words), 0)
            assert window.ids == theirs(words, is_split_into_words=True)["input_ids"]
    assert theirs.convert_ids_to_tokens(ours.encode("ß").ids)[1:3] == ["<0xC3>", "<0x9F>"]


def test_its_vocabulary_is_cut_to_a_corpus(many_languages: Path, tmp_path: Path) -> None:
    report = cut(many_languages, tmp_path / "small")
    before, after = (outputs(folder, data_of(), examples(CORPUS)) for folder in (many_languages, tmp_path / "small"))
    assert all(np.array_equal(one[0], other[0]) for one, other in zip(before, after, strict=True))
    assert report.metrics["corpus_changed"] == 0.0
    assert 256 < report.metrics["pieces"] < report.metrics["pieces_before"]
