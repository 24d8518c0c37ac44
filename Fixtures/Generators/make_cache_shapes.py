#!/usr/bin/env python3
"""The keys that tiny models of every decoder in transformers really cache, beside their config.json and their tensors' shapes.

    python make_cache_shapes.py --out ../Caches/models.json            # transformers 5.24, torch 2.15; under a minute
    python make_cache_shapes.py --save seed_oss FOLDER                 # one of them as a checkpoint

Each `model_type` of transformers' lists of causal and of multimodal language models is made with its class's defaults and small
sizes (`SIZES`, and `OWN` where a class needs others), saved, and run on twelve tokens. Written are, of each that runs:

    config   config.json as saved, without the configurations of towers for pictures and sounds
    tensors  names and shapes as saved, the first number of a name being *: {name: {shape: layers}}; feed-forward parts and towers
             are left out, but for what has the name of a key's projection
    cache    of each layer [KV heads, width of a key, KV heads, width of a value] of what the cache holds, or null

and of the others why they do not run with tokens alone.
"""
import argparse, copy, json, os, re, signal, sys, tempfile, warnings
from pathlib import Path

warnings.filterwarnings("ignore")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch
import transformers
from transformers import CONFIG_MAPPING
from transformers.configuration_utils import PretrainedConfig
from transformers.models.auto import modeling_auto

transformers.logging.set_verbosity_error()
torch.set_num_threads(1)

# KV heads, width and query heads are such that no product is one of others: 2 x 24, 4 x 24, 64 / 4.
SIZES = dict(
    hidden_size=64, n_embd=64, d_model=64, dim=64, hidden_dim=64, embed_dim=64, n_embed=64, emb_dim=64, embedding_dim=64,
    word_embed_proj_dim=64, out_hidden_size=64, text_hidden_size=64,
    num_hidden_layers=6, n_layer=6, num_layers=6, n_layers=6, layers=6, decoder_layers=6, encoder_layers=2, depth=2, num_blocks=6,
    num_attention_heads=4, n_head=4, n_heads=4, num_heads=4, attention_heads=4, decoder_attention_heads=4,
    encoder_attention_heads=4, num_key_value_heads=2, num_kv_heads=2, head_dim=24,
    intermediate_size=96, ffn_dim=96, decoder_ffn_dim=96, encoder_ffn_dim=96, n_inner=96, d_inner=96, ffn_hidden_size=96,
    moe_intermediate_size=32, shared_expert_intermediate_size=32, shared_intermediate_size=32,
    moe_shared_expert_intermediate_size=32, share_expert_dim=32,
    vocab_size=128, vocab_size_per_layer_input=128, decoder_vocab_size=128, unpadded_vocab_size=128, hidden_size_per_layer_input=16,
    num_experts=4, num_local_experts=4, n_routed_experts=4, moe_num_experts=4, num_experts_per_tok=2, num_experts_per_token=2,
    moe_k=2, moe_topk=2, n_group=1, topk_group=1, num_nextn_predict_layers=0,
    q_lora_rank=32, kv_lora_rank=32, qk_rope_head_dim=8, qk_nope_head_dim=16, qk_head_dim=24, v_head_dim=20,
    mamba_num_heads=4, mamba_n_heads=4, mamba_head_dim=16, mamba_d_head=16, mamba_headdim=32, n_mamba_heads=2, mamba_d_state=16,
    ssm_state_size=16, state_size=16, mamba_n_groups=1, n_groups=1, mamba_ngroups=1, mamba_expand=1,
    linear_num_heads=4, linear_head_dim=16, linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=12,
    linear_value_head_dim=12, index_head_dim=16, index_n_heads=2, index_topk=8,
    swa_head_dim=16, swa_num_attention_heads=4, swa_num_key_value_heads=1,
    max_position_embeddings=256, sliding_window=16, attention_window_size=16, image_size=32, patch_size=16,
)  # fmt: skip


def rope(width, **more):
    """Rotary parameters with sections for positions of three kinds over `width` channels."""
    third = width // 2 // 3
    sections = [width // 2 - 2 * third, third, third]
    return dict(rope_type="default", rope_theta=10000.0, mrope_section=sections, **more)


TOWER = dict(hidden_size=32, num_attention_heads=2, num_hidden_layers=2, intermediate_size=48, num_key_value_heads=2, head_dim=16)
PARTIAL = dict(text_config=dict(rope_parameters=rope(8, partial_rotary_factor=0.5)))
LATENT = dict(text_config=dict(num_key_value_heads=4))
SLIDING = ["sliding_attention"] * 4 + ["full_attention"]
HYBRID = ["mamba", "hybrid", "mamba", "mamba", "hybrid", "mamba"]
MIXED = ["conv", "conv", "full_attention", "conv", "full_attention", "conv"]
# What a class needs beside or in place of the sizes above.
OWN = {
    "aria": dict(vision_config=TOWER),
    "axk1": dict(head_dim=8),
    "aya_vision": dict(vision_config=TOWER),
    "bamba": dict(attn_layer_indices=[1, 4]),
    "codegen": dict(rotary_dim=8),
    "deepseek_v3": dict(head_dim=8),
    "dory": dict(n_input_layers=2, n_output_layers=2, n_recurrent_layers=2),
    "dots1": dict(n_routed_experts=4, n_shared_experts=1, first_k_dense_replace=1, routed_scaling_factor=1.0),
    "emu3": dict(text_config=dict(pad_token_id=1)),
    "falcon_h1": dict(mamba_d_ssm=64),
    "fun_asr_nano": dict(adaptor_config=dict(intermediate_size=16)),
    "gemma3": dict(vision_config=TOWER),
    "gemma3n_text": dict(
        num_hidden_layers=10, num_kv_shared_layers=4, intermediate_size=[96] * 10, activation_sparsity_pattern=[0.0] * 10,
        layer_types=SLIDING * 2,
    ),
    "gemma4": dict(text_config=dict(global_head_dim=32)),
    "gemma4_text": dict(num_hidden_layers=8, num_kv_shared_layers=2, global_head_dim=32, layer_types=SLIDING[1:] * 2),
    "gemma4_unified_text": dict(global_head_dim=32),
    "glm46v": PARTIAL,
    "glm4v": PARTIAL,
    "glm4v_moe": PARTIAL,
    "glm_ocr": dict(text_config=dict(rope_parameters=rope(16))),
    "glmga": PARTIAL,
    "gpt_neo": dict(attention_types=[[["global", "local"], 3]], window_size=8),
    "gptj": dict(rotary_dim=8),
    "granitemoehybrid": dict(layer_types=["mamba", "attention", "mamba", "mamba", "attention", "mamba"], position_embedding_type="rope"),
    "helium": dict(head_dim=16),
    "hunyuan_v1_dense": dict(head_dim=24),
    "hunyuan_v1_moe": dict(head_dim=24),
    "hunyuan_vl": dict(text_config=dict(head_dim=24, rope_parameters=rope(24) | {"mrope_section": [3, 3, 3, 3]})),
    "hy_v4_vl": dict(text_config=dict(rope_parameters=rope(8))),
    "inkling2": dict(vision_config=dict(text_hidden_size=64)),
    "inkling2_loop": dict(vision_config=dict(text_hidden_size=64)),
    "janus": dict(
        vision_config=dict(projection_dim=64),
        vq_config=dict(projection_dim=64, image_token_embed_dim=64, num_embeddings=128, base_channels=32),
    ),
    "kimi_k25": LATENT,
    "lfm2_moe": dict(layer_types=MIXED),
    "lfm2": dict(full_attn_idxs=[2, 4]),
    "llama4": dict(text_config=dict(pad_token_id=1)),
    "longcat_flash": dict(zero_expert_num=2, expert_ffn_hidden_size=32, head_dim=8),
    "mamba2": dict(num_heads=8, head_dim=16),
    "ministral": dict(head_dim=24),
    "molmo2": dict(adapter_config=dict(vision_feature_layer=[-1, -2], vision_feature_layers=[1, 0])),
    "nemotron": dict(head_dim=24, num_key_value_heads=2),
    "nemotron_h": dict(layers_block_type=["mamba", "moe", "attention", "mlp", "mamba", "attention"]),
    "nemotron_h_omni": dict(vision_config=dict(video_temporal_patch_size=2)),
    "paddleocr_vl": dict(text_config=dict(rope_parameters=rope(24))),
    "paligemma": dict(vision_config=TOWER),
    "qwen2_5_omni_thinker": dict(text_config=dict(rope_parameters=rope(16))),
    "qwen2_5_vl": dict(text_config=dict(rope_parameters=rope(16))),
    "qwen2_vl": dict(text_config=dict(rope_parameters=rope(16))),
    "shieldgemma2": dict(vision_config=TOWER),
    "step3p7": dict(text_config=dict(sliding_window=16)),
    "vibevoice_asr": dict(
        acoustic_tokenizer_encoder_config=dict(num_filters=4), semantic_tokenizer_encoder_config=dict(num_filters=4)
    ),
    "youtu": dict(head_dim=8),
    "zamba2": dict(
        layers_block_type=HYBRID, layer_types=HYBRID, hybrid_layer_ids=[1, 4], attention_head_dim=32, mamba_headdim=16,
        n_mamba_heads=4, kv_channels=16,
    ),
    "zaya": dict(num_experts_per_tok=1),
}  # fmt: skip
# Larger ones are not made.
LIMIT = 30_000_000
TOWERS = ("vision", "audio", "vit", "image", "speech", "sam_", "vq", "adapter", "depth_decoder", "talker")
# Parts of tensors' names that say nothing of keys, and those of the projections that may.
OTHERS = re.compile(r"mlp|experts|feed_forward|\.fc\d|ffn|moe|visual|vision|audio")
PROJECTIONS = re.compile(r"k_proj\.weight|qkv")
NAMES = {}
for table in ("MODEL_FOR_CAUSAL_LM", "MODEL_FOR_MULTIMODAL_LM"):
    for model_type, name in getattr(modeling_auto, table + "_MAPPING_NAMES").items():
        NAMES[model_type] = name if isinstance(name, str) else name[0]


def sizes(cls, own):
    """Arguments of a configuration class: the sizes that it knows, those of the classes inside it, and `own` before all."""
    defaults = cls().to_dict()
    classes = getattr(cls, "sub_configs", {}) or {}
    found = {}
    for key, value in defaults.items():
        if key in classes:
            continue
        is_id = key.endswith(("_token_id", "_token_index", "_id"))
        if key in SIZES and isinstance(value, (int, float)) and not isinstance(value, bool):
            found[key] = SIZES[key]
        elif is_id and isinstance(value, int) and value > 50:
            found[key] = 100 + sum(other.endswith(("_id", "_index")) for other in found)
        elif is_id and isinstance(value, list):
            found[key] = 2
    if defaults.get("kv_lora_rank") and "num_key_value_heads" in found:
        found["num_key_value_heads"] = found["num_attention_heads"]
    rotary = defaults.get("rope_parameters")
    if isinstance(rotary, dict) and "mrope_section" in rotary:
        width = int((24 if defaults.get("head_dim") else 16) * rotary.get("partial_rotary_factor", 1))
        found["rope_parameters"] = rotary | {"mrope_section": rope(width)["mrope_section"]}
    for key, inner in classes.items():
        given = own.get(key) or {}
        model_type = given.get("model_type") or (defaults.get(key) or {}).get("model_type")
        inner = CONFIG_MAPPING[model_type] if model_type in CONFIG_MAPPING else inner
        if isinstance(inner, type) and issubclass(inner, PretrainedConfig):
            found[key] = sizes(inner, given) | {"model_type": inner.model_type}
    return found | {key: value for key, value in own.items() if key not in classes}


def tiny(model_type):
    """A small random model of this type."""
    config_class = CONFIG_MAPPING[model_type]
    config = config_class(**sizes(config_class, OWN.get(model_type, {})))
    model_class = getattr(transformers, NAMES[model_type])
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in model_class(copy.deepcopy(config)).parameters())
    if count > LIMIT:
        raise ValueError(f"{count} parameters with these sizes")
    torch.manual_seed(0)
    return model_class(config).eval()


def cached(model):
    """Of each layer the shape of keys and values that a run leaves in its cache, None where it has none."""
    with torch.no_grad():
        output = model(input_ids=torch.arange(3, 15)[None], use_cache=True)
    layers = getattr(output.get("past_key_values", output.get("cache")), "layers", None)
    if layers is None:
        raise ValueError("it returns no cache of layers")
    shapes = []
    for layer in layers:
        keys = [getattr(layer, name, None) for name in ("keys", "prefill_keys")]
        values = [getattr(layer, name, None) for name in ("values", "prefill_values")]
        held = [pair for pair in zip(keys, values) if isinstance(pair[0], torch.Tensor) and pair[0].numel()]
        shapes.append([n for rows in held[0] for n in (rows.shape[1], rows.shape[3])] if held else None)
    return shapes


def tensors(folder):
    """Names and shapes of a checkpoint's tensors, those of a stack's layers together."""
    found = {}
    for file in sorted(Path(folder).glob("*.safetensors")):
        with open(file, "rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        for name, tensor in header.items():
            if name == "__metadata__" or OTHERS.search(name) and not PROJECTIONS.search(name):
                continue
            parts = name.split(".")
            place = next((i for i, part in enumerate(parts) if part.isdecimal()), None)
            layer = int(parts[place]) if place is not None else 0
            parts[place or 0] = "*" if place is not None else parts[0]
            shapes = found.setdefault(".".join(parts), {})
            shapes.setdefault("x".join(map(str, tensor["shape"])), []).append(layer)
    return {name: {shape: sorted(layers) for shape, layers in sorted(shapes.items())} for name, shapes in sorted(found.items())}


def text_only(config):
    return {
        key: text_only(value) if isinstance(value, dict) else value
        for key, value in config.items()
        if not (isinstance(value, dict) and any(part in key for part in TOWERS))
    }


def measured(model_type):
    model = tiny(model_type)
    shapes = cached(model)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        config = json.loads(Path(folder, "config.json").read_text())
        return {"config": text_only(config), "tensors": tensors(folder), "cache": shapes}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out")
    parser.add_argument("--save", nargs=2, metavar=("TYPE", "FOLDER"))
    parser.add_argument("types", nargs="*")
    arguments = parser.parse_args()
    if arguments.save:
        tiny(arguments.save[0]).save_pretrained(arguments.save[1])
        return

    def late(*_):
        raise TimeoutError("it takes longer than a minute")

    signal.signal(signal.SIGALRM, late)
    models, others = {}, {}
    for model_type in arguments.types or NAMES:
        signal.alarm(60)
        try:
            models[model_type] = measured(model_type)
        except Exception as error:
            lines = str(error).strip().splitlines()
            others[model_type] = f"{type(error).__name__}: {(lines or [''])[-1].strip()[:160]}"
        signal.alarm(0)
    said = {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0], "models": {}, "not_run": others}
    text = json.dumps(said, separators=(",", ":"))[:-1]
    rows = [json.dumps(name) + ":" + json.dumps(model, separators=(",", ":")) for name, model in sorted(models.items())]
    text = text.replace('"models":{}', '"models":{\n' + ",\n".join(rows) + "\n}") + "}\n"
    if arguments.out:
        Path(arguments.out).write_text(text)
    for name, reason in others.items():
        print(f"{name}: {reason}", file=sys.stderr)
    print(f"{len(models)} models, {len(others)} not run, {len(text)} bytes")


if __name__ == "__main__":
    main()
