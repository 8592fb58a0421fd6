"""Narrower students: only for BERT, with any head."""

from pathlib import Path

import pytest
import torch
import transformers
from family_checkpoints import make_family
from family_models import IDS, MASK, load, save
from safetensors.torch import load_file

from edgebert.compress.student import make_student
from edgebert.errors import SettingsError


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


@pytest.mark.parametrize("family", ["distilbert", "electra", "roberta", "camembert", "mobilebert"])
def test_narrowing_another_family_is_refused(family: str, folders: dict[str, Path]) -> None:
    with pytest.raises(SettingsError, match=f"hidden_size is 16: {family} models cannot be narrowed, only bert"):
        make_student(load(folders[family]), (0, 2), hidden_size=16)
