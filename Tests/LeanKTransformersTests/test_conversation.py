"""Later prompts, padding, beams and taking tokens back, against whole keys under the rule of Spec/semantics.md."""

from pathlib import Path

import masked_attention
import pytest
import torch
from safetensors.torch import load_file

from checkpoints import CACHE, REFERENCE, called, made, mask_of, opened, reference_model, tolerance

# Prompts of a conversation of 48 tokens; the first is shorter than sink + recent in the second plan.
PLANS = {
    "long first": [(0, 17), (26, 35)],
    "short first": [(0, 5), (7, 9), (30, 41)],
    "one token": [(0, 20), (24, 25), (33, 34)],
}
NAMES = ["llama_gqa", "gemma2", "qwen2_window", "qwen3", "phi3_longrope_short"]
WINDOWS = {"windowed": (4, 8, 4), "static": None}


def tokens_of(name: str) -> torch.Tensor:
    return load_file(REFERENCE / name / "reference.safetensors")["input_ids"]


def talked(model: torch.nn.Module, tokens: torch.Tensor, turns: list[tuple[int, int]]) -> torch.Tensor:
    """Logits of a conversation, the cache told of each prompt."""
    cache, logits = model.new_cache(), []
    for number, (start, stop) in enumerate(turns):
        until = turns[number + 1][0] if number + 1 < len(turns) else tokens.shape[1]
        cache.begin_prompt()
        lengths = [stop - start, *range(stop - start + 1, until - start + 1)]
        logits.append(called(model, tokens[:, start:until], lengths, cache))
    return torch.cat(logits, 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", WINDOWS)
@pytest.mark.parametrize("plan", PLANS)
def test_conversation(name: str, mode: str, plan: str, tmp_path: Path) -> None:
    folder = made(name, tmp_path / "checkpoint", mode)
    tokens = tokens_of(name)[None]
    rule = masked_attention.Rule(mask_of(name), WINDOWS[mode], PLANS[plan])
    expected = masked_attention.run(reference_model(folder), rule, tokens)
    logits = talked(opened(folder), tokens, PLANS[plan])
    assert (logits - expected).abs().max().item() <= tolerance(name)


@pytest.mark.parametrize(
    "path", sorted((REFERENCE.parent / "Conversations").glob("*.safetensors")), ids=lambda path: path.stem
)
def test_recorded_conversations(path: Path, tmp_path: Path) -> None:
    arrays = load_file(path)
    model, tokens = opened(made(path.stem, tmp_path / "checkpoint", "windowed")), arrays["input_ids"][None]
    plans = [name.removesuffix(".turns") for name in arrays if name.endswith(".turns")]
    assert len(plans) == 3
    for plan in plans:
        logits = talked(model, tokens, arrays[plan + ".turns"].tolist())
        assert (logits[0] - arrays[plan + ".logits"]).abs().max().item() <= tolerance(path.stem)


@pytest.mark.parametrize("accumulate", [1, 3, 16])
@pytest.mark.parametrize(("sink", "recent"), [(0, 1), (3, 2), (30, 4)])
def test_windows(sink: int, recent: int, accumulate: int, tmp_path: Path) -> None:
    said = {"sink": sink, "recent": recent, "accumulate": accumulate}
    folder = made("llama_gqa", tmp_path / "checkpoint", "windowed", **said)
    tokens, turns = tokens_of("llama_gqa")[None], [(0, 9), (20, 26)]
    rule = masked_attention.Rule(mask_of("llama_gqa"), (sink, recent, accumulate), turns)
    expected = masked_attention.run(reference_model(folder), rule, tokens)
    assert (talked(opened(folder), tokens, turns) - expected).abs().max().item() <= tolerance("llama_gqa")


def test_empty_heads_zero(tmp_path: Path) -> None:
    masks = mask_of("llama_gqa")
    assert any(not head.any() for mask in masks for head in mask)
    folder = made("llama_gqa", tmp_path / "checkpoint", "windowed", empty_heads="zero")
    tokens = tokens_of("llama_gqa")[None]
    rule = masked_attention.Rule(masks, (4, 8, 4), [(0, 24)], zero_empty=True)
    expected = masked_attention.run(reference_model(folder), rule, tokens)
    assert (talked(opened(folder), tokens, [(0, 24)]) - expected).abs().max().item() <= tolerance("llama_gqa")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", WINDOWS)
def test_batch_of_unequal_prompts(name: str, mode: str, tmp_path: Path) -> None:
    model = opened(made(name, tmp_path / "checkpoint", mode))
    tokens, longest, rows = tokens_of(name), 24, [24, 9, 21]
    batch = torch.zeros((len(rows), longest + 20), dtype=torch.long)
    mask = torch.zeros_like(batch)
    for row, length in enumerate(rows):
        batch[row, longest - length :] = tokens[row : row + length + 20]
        mask[row, longest - length :] = 1
    cache, logits, start = model.new_cache(), [], 0
    positions = (mask.cumsum(1) - 1).clamp(0)
    for stop in [longest, *range(longest + 1, longest + 15), longest + 20]:  # the last five are a later prompt
        logits.append(
            model(
                input_ids=batch[:, start:stop], attention_mask=mask[:, :stop], position_ids=positions[:, start:stop],
                **{CACHE: cache},
            ).logits
        )  # fmt: skip
        start = stop
    together = torch.cat(logits, 1)
    for row, length in enumerate(rows):
        turns = [(0, length), (length + 14, length + 20)]
        alone = talked(model, tokens[None, row : row + length + 20], turns)[0]
        assert (together[row, longest - length :] - alone).abs().max().item() <= tolerance(name)


@pytest.mark.parametrize("mode", WINDOWS)
def test_generate_with_padding_is_generate_alone(mode: str, tmp_path: Path) -> None:
    model = opened(made("llama_gqa", tmp_path / "checkpoint", mode))
    tokens, rows = tokens_of("llama_gqa"), [24, 9, 21]
    batch = torch.zeros((3, 24), dtype=torch.long)
    mask = torch.zeros_like(batch)
    for row, length in enumerate(rows):
        batch[row, 24 - length :], mask[row, 24 - length :] = tokens[row : row + length], 1
    options = {"max_new_tokens": 20, "do_sample": False, "eos_token_id": -1}
    together = model.generate(batch, attention_mask=mask, **options)
    for row, length in enumerate(rows):
        prompt = tokens[None, row : row + length]
        alone = model.generate(prompt, attention_mask=torch.ones_like(prompt), **options)
        assert together[row, 24:].tolist() == alone[0, length:].tolist()


@pytest.mark.parametrize("mode", WINDOWS)
def test_beams(mode: str, tmp_path: Path) -> None:
    folder = made("llama_gqa", tmp_path / "checkpoint", mode)
    prompt = tokens_of("llama_gqa")[None, :20]
    options = {
        "attention_mask": torch.ones_like(prompt), "max_new_tokens": 14, "num_beams": 4, "num_return_sequences": 3,
        "do_sample": False, "eos_token_id": -1, "return_dict_in_generate": True, "output_scores": True,
    }  # fmt: skip
    found = opened(folder).generate(prompt, **options)
    masked_attention.current = masked_attention.Rule(mask_of("llama_gqa"), WINDOWS[mode], [(0, 20)])
    expected = reference_model(folder).generate(prompt, **options)
    assert found.sequences.tolist() == expected.sequences.tolist()
    assert (found.sequences_scores - expected.sequences_scores).abs().max().item() <= 1e-5


def test_generate_continues_a_conversation(tmp_path: Path) -> None:
    folder = made("llama_gqa", tmp_path / "checkpoint", "windowed")
    tokens, options = tokens_of("llama_gqa")[None], {"do_sample": False, "eos_token_id": -1}
    model = opened(folder)
    # The last generated token is not in the cache: with one more it is a prompt of two, alone it is a prompt of one.
    for added in (tokens[:, 15:16], tokens[:, :0]):
        cache = model.new_cache()
        first = model.generate(tokens[:, :15], **{CACHE: cache}, max_new_tokens=8, **options)
        prompt = torch.cat([first, added], 1)
        found = model.generate(prompt, **{CACHE: cache}, max_new_tokens=6, **options)
        rule = masked_attention.Rule(mask_of("llama_gqa"), (4, 8, 4), [(0, 15), (22, prompt.shape[1])])
        logits = masked_attention.run(reference_model(folder), rule, found[:, :-1])
        assert logits[0, prompt.shape[1] - 1 :].argmax(-1).tolist() == found[0, prompt.shape[1] :].tolist()


def test_crop_where_it_is_exact(tmp_path: Path) -> None:
    model = opened(made("llama_gqa", tmp_path / "checkpoint", "windowed"))
    tokens = tokens_of("llama_gqa")[None]
    # A prompt of 20 ends with the boundary at slot 11, where it stays to the third decoded token; the fourth moves it.
    for length, back in ((22, 20), (22, 21), (26, 25), (10, 3), (12, 12)):
        turned, straight = model.new_cache(), model.new_cache()
        called(model, tokens[:, :length], [min(20, length), *range(21, length + 1)], turned)
        turned.crop(back - length)
        called(model, tokens[:, :back], [min(20, back), *range(21, back + 1)], straight)
        assert turned.get_seq_length() == straight.get_seq_length() == back
        assert turned.nbytes() == straight.nbytes()
        rest = [stop - back for stop in range(back + 1, 40)]
        found, expected = (called(model, tokens[:, back:39], rest, cache) for cache in (turned, straight))
        assert (found - expected).abs().max().item() <= tolerance("llama_gqa")


def test_crop_is_refused_where_channels_are_gone(tmp_path: Path) -> None:
    model = opened(made("llama_gqa", tmp_path / "checkpoint", "windowed"))
    tokens = tokens_of("llama_gqa")[None]
    cache = model.new_cache()
    called(model, tokens[:, :27], [20, *range(21, 28)], cache)
    held = cache.nbytes()
    with pytest.raises(ValueError, match=r"crop to 21 tokens: .* whole; start the cache anew"):
        cache.crop(-6)
    assert (cache.get_seq_length(), cache.nbytes()) == (27, held)
    cache.crop(27)
    assert cache.get_seq_length() == 27


def test_crop_in_static_mode(tmp_path: Path) -> None:
    model = opened(made("llama_gqa", tmp_path / "checkpoint"))
    tokens = tokens_of("llama_gqa")[None]
    cache, straight = model.new_cache(), model.new_cache()
    called(model, tokens[:, :30], [20, *range(21, 31)], cache)
    cache.crop(-17)
    called(model, tokens[:, :13], [13], straight)
    assert (cache.get_seq_length(), cache.nbytes()) == (13, straight.nbytes())
    rest = [3, 4, 5]
    left, right = (called(model, tokens[:, 13:18], rest, each) for each in (cache, straight))
    assert (left - right).abs().max().item() <= tolerance("llama_gqa")


def test_crop_of_a_sliding_window(tmp_path: Path) -> None:
    model = opened(made("qwen2_window", tmp_path / "checkpoint", "static"))
    tokens = tokens_of("qwen2_window")[None]
    cache = model.new_cache()
    called(model, tokens[:, :9], [9], cache)
    cache.crop(-2)
    assert cache.get_seq_length() == 7
    called(model, tokens[:, 7:30], [23], cache)
    with pytest.raises(ValueError, match="a sliding window has let go of tokens"):
        cache.crop(-1)


@pytest.mark.parametrize("mode", WINDOWS)
def test_rows_of_the_batch_can_be_chosen(mode: str, tmp_path: Path) -> None:
    model = opened(made("gemma2", tmp_path / "checkpoint", mode))
    tokens = tokens_of("gemma2")
    batch = torch.stack([tokens[:30], tokens[10:40]])
    cache = model.new_cache()
    called(model, batch[:, :28], [20, *range(21, 29)], cache)
    cache.batch_repeat_interleave(2)
    cache.reorder_cache(torch.tensor([3, 1, 0, 2]))
    cache.batch_select_indices(torch.tensor([0, 2]))
    found = called(model, batch[[1, 0], 28:], [1, 2], cache)
    for row, source in enumerate((1, 0)):
        alone = called(model, batch[source : source + 1], [20, *range(21, 31)])
        assert (found[row] - alone[0, 28:]).abs().max().item() <= tolerance("gemma2")
