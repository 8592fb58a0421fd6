"""Special tokens written in a text: answers equal those of transformers, alone and padded."""

from pathlib import Path

import pytest
import torch
import transformers
from family_checkpoints import COUNT_PADDING, FAMILIES, make_whole

from edgebert.compress import checkpoint
from edgebert.runtime.encode import TextEncoder

NAMES = ("pad_token", "mask_token", "cls_token", "sep_token", "unk_token")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", NAMES)
def test_a_special_token_in_a_text_is_answered_as_by_transformers(
    family: str, name: str, whole_folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = whole_folders[family]
    tokenizer = checkpoint.load_tokenizer(folder)
    tokenizer.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    encoder, token = TextEncoder(tmp_path / "tokenizer.json", 32), getattr(tokenizer, name)
    ours = checkpoint.load_model(folder, "text-classification", ["a", "b"]).eval()
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    for text in (f"a good {token} film", f"{token} bad", f"cold {token}", f"{token} {token}"):
        ids = torch.tensor([encoder.encode(text).ids])
        expected = transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
        assert ids.tolist() == expected["input_ids"].tolist()
        padding = torch.full((1, 4), tokenizer.pad_token_id)
        mask = torch.tensor([[1] * ids.shape[1] + [0] * 4])
        with torch.no_grad():
            wanted = theirs(**expected).logits
            alone = ours(input_ids=ids, attention_mask=mask[:, :-4]).logits
            padded = ours(input_ids=torch.cat([ids, padding], 1), attention_mask=mask).logits
        assert (alone - wanted).abs().max().item() <= 1e-5
        assert (padded - wanted).abs().max().item() <= 1e-5


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("stated", [7, None])
def test_padding_of_the_tokenizer_counts_where_the_config_states_another(
    family: str, stated: int | None, tmp_path: Path
) -> None:
    if family in COUNT_PADDING and stated is None:
        pytest.skip("refused: positions are counted from it")
    more = {"max_position_embeddings": 72} if family in COUNT_PADDING else {}
    folder = make_whole(tmp_path, family, pad_token_id=stated, **more)
    tokenizer = checkpoint.load_tokenizer(folder)
    assert tokenizer.pad_token_id != stated
    ours = checkpoint.load_model(folder, "text-classification", ["a", "b"]).eval()
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    batch = tokenizer(["a good film", "bad", "so very cold and dull"], return_tensors="pt", padding=True)
    with torch.no_grad():
        padded = ours(**batch).logits
        rows = [row[mask == 1][None] for row, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)]
        wanted = torch.cat([theirs(input_ids=row).logits for row in rows])
    assert (padded - wanted).abs().max().item() <= 1e-5
