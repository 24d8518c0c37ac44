#!/usr/bin/env python3
"""What transformers makes of config.json files that differ from those of `Reference` in a few keys.

    python make_configurations.py --out ../Configurations                       # transformers 5 -> cases_5.json
    PYTHONPATH=FOLDER_WITH_TRANSFORMERS_4 python make_configurations.py --out ../Configurations      # -> cases_4.json

`patches` has for each case the file it starts from, the keys set and left out (in `text_config` where there is one) and how
embedding and output projection are stored; "@alternate", "@full" and the like stand for one word a layer. `outcomes` has for each
reference model and case: "same" (logits as without the patch), "error" (it does not load, or not run), "partial" (tensors of the
model are not in the file) or the first six logits of the last token. Version 4 is given the patches that do not speak version 5's
language and for which version 5 errs: there its word counts.
"""
import argparse, copy, json, os, shutil, tempfile, warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
warnings.filterwarnings("ignore")
import torch, transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

transformers.logging.set_verbosity(100)
torch.set_num_threads(1)
HERE = os.path.dirname(os.path.abspath(__file__))
MAJOR = int(transformers.__version__.split(".")[0])
MODELS = """llama_gqa mistral_swa ministral mixtral qwen2 qwen3 qwen3_moe phi3_longrope_short gemma2 gemma3_text olmo2 glm4 granite
starcoder2 stablelm gpt_neox cohere cohere2 falcon_new falcon_old smollm3 gpt_oss exaone4 gemma3 llava qwen2_vl""".split()

LINEAR = {"rope_type": "linear", "factor": 4.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
DYNAMIC = {"rope_type": "dynamic", "factor": 2.0}
NESTED = {"full_attention": {**YARN, "rope_theta": 500.0}, "sliding_attention": {"rope_type": "default", "rope_theta": 1000.0}}
ACTIVATIONS = """gelu gelu_10 gelu_fast gelu_new gelu_python gelu_pytorch_tanh gelu_python_tanh gelu_accurate mish quick_gelu relu
relu2 silu swish foo""".split()
# Other values of keys that some family reads. Lists are tried one by one.
VALUES = dict(
    attention_bias=[True, False], mlp_bias=[True, False], use_bias=[True, False], use_qkv_bias=[True, False], bias=[True, False],
    rms_norm_eps=[0.5], layer_norm_eps=[0.5], layer_norm_epsilon=[0.5], norm_epsilon=[0.5], num_key_value_heads=[1], num_kv_heads=[1],
    head_dim=[8], attention_multiplier=[0.1], embedding_multiplier=[3.0], logits_scaling=[3.0], residual_multiplier=[0.2],
    logit_scale=[3.0], query_pre_attn_scalar=[7], use_parallel_residual=[True, False], qk_layernorm=[True, False],
    use_qk_norm=[True, False], alibi=[True], multi_query=[True, False], new_decoder_architecture=[True, False],
    num_ln_in_parallel_attn=[1, 2], parallel_attn=[True, False], n_embed=[32], ffn_hidden_size=[64], num_experts_per_tok=[1],
    num_local_experts=[2], num_experts=[2], norm_topk_prob=[True, False], decoder_sparse_step=[2], mlp_only_layers=[[], [0]],
    moe_intermediate_size=[16], swiglu_limit=[0.3], swiglu_alpha=[1.0], no_rope_layers=["@zero", "@one", [1]],
    no_rope_layer_interval=[3], use_bidirectional_attention=[True], max_window_layers=[0], use_sliding_window=[True, False],
    max_position_embeddings=[16], hidden_size=[32], intermediate_size=[32], num_hidden_layers=[9], num_attention_heads=[1],
    vocab_size=[64], rope_theta=[500.0], rotary_emb_base=[500.0], rotary_pct=[0.5], partial_rotary_factor=[0.5],
    rope_local_base_freq=[500.0], original_max_position_embeddings=[32], sliding_window=[8], sliding_window_pattern=[2],
    attn_logit_softcapping=[0.7], final_logit_softcapping=[0.7], pretraining_tp=[2], output_attentions=[True],
    output_hidden_states=[True], chunk_size_feed_forward=[4], is_decoder=[True, False], is_encoder_decoder=[True],
    add_cross_attention=[True], tie_encoder_decoder=[True], torchscript=[True], pruned_heads=[{"0": [1]}], use_bfloat16=[True],
    dtype=["float16"], torch_dtype=["bfloat16"], attention_dropout=[0.5], hidden_dropout=[0.5], resid_pdrop=[0.5], embd_pdrop=[0.5],
    residual_dropout=[0.5], embedding_dropout=[0.5], classifier_dropout=[0.5], router_jitter_noise=[0.5], router_aux_loss_coef=[0.5],
    output_router_logits=[True], initializer_range=[1.0], use_cache=[False], num_labels=[5], pad_token_id=[3], bos_token_id=[3],
    eos_token_id=[3], scale_attn_weights=[False], attention_chunk_size=[4], norm_eps=[0.5], logit_softcapping=[0.7],
    activation_function=["relu"], rope_interleaved=[True], hidden_act=["relu"], hidden_activation=["relu"], activation=["relu"])
NULLS = """attention_bias bias use_bias use_qkv_bias alibi multi_query rms_norm_eps layer_norm_eps hidden_act hidden_activation
num_key_value_heads num_kv_heads ffn_hidden_size num_ln_in_parallel_attn head_dim sliding_window layer_types no_rope_layers
mlp_only_layers use_sliding_window use_qk_norm qk_layernorm logit_scale attn_logit_softcapping final_logit_softcapping
query_pre_attn_scalar rope_theta partial_rotary_factor max_position_embeddings intermediate_size per_layer_config
use_bidirectional_attention norm_topk_prob attention_multiplier use_parallel_residual""".split()


def patches(text):
    """name -> (dialect, set, left out, how the ends are stored)"""
    given = text["rope_parameters"]
    flat = given.get("full_attention", given)
    result = {}

    def case(name, dialect, set_, *left_out, ends=None):
        result[name] = (dialect, set_, list(left_out), ends)

    scalings = dict(
        linear=LINEAR, yarn=YARN, llama3=LLAMA3, dynamic=DYNAMIC, empty={}, null=None, default={"rope_type": "default"},
        theta={"rope_theta": 500.0, "rope_type": "default"}, type={"type": "linear", "factor": 4.0}, theta_linear={**LINEAR, "rope_theta": 500.0},
        partial={"rope_type": "default", "partial_rotary_factor": 0.5}, partial_linear={**LINEAR, "partial_rotary_factor": 0.5},
        funky={"rope_type": "funky", "factor": 2.0}, no_type={"factor": 4.0}, mrope={"type": "mrope", "mrope_section": [2, 1, 1]},
        attention={**YARN, "attention_factor": 1.5}, no_factor={"rope_type": "yarn", "original_max_position_embeddings": 32},
        no_original={"rope_type": "yarn", "factor": 4.0}, betas={**YARN, "beta_fast": 8.0, "beta_slow": 2.0, "truncate": False},
        proportional={"rope_type": "proportional", "partial_rotary_factor": 0.5}, two_types={"rope_type": "linear", "type": "yarn", "factor": 4.0})
    for name, scaling in scalings.items():
        case("scaling_beside_" + name, 5, {"rope_scaling": scaling})
        case("scaling_alone_" + name, 4, {"rope_scaling": scaling}, "rope_theta", "rotary_emb_base")
        case("scaling_and_theta_" + name, 4, {"rope_scaling": scaling, "rope_theta": 3000.0}, "rotary_emb_base")
    case("theta_beside", 5, {"rope_theta": 500.0})
    case("theta_beside_without", 5, {"rope_theta": 500.0, "rope_parameters": {k: v for k, v in flat.items() if k != "rope_theta"}})
    case("theta_alone", 5, {"rope_theta": 500.0}, "rope_parameters")
    case("theta_absent", 4, {}, "rope_theta", "rope_scaling", "rotary_emb_base")
    case("theta_null_inside", 5, {"rope_parameters": {**flat, "rope_theta": None}})
    case("local_theta_4", 4, {"rope_local_base_freq": 700.0})
    case("local_theta_5", 5, {"rope_local_base_freq": 700.0})
    case("parameters_absent", 5, {}, "rope_parameters")
    case("parameters_null", 5, {"rope_parameters": None})
    case("parameters_empty", 5, {"rope_parameters": {}})
    for name, scaling in dict(yarn=YARN, llama3=LLAMA3, linear=LINEAR, dynamic=DYNAMIC, no_type={}, type={"type": "linear", "factor": 4.0}).items():
        case("flat_" + name, 5, {"rope_parameters": {**scaling, "rope_theta": 500.0}})
        case("flat_typed_" + name, 5, {"rope_parameters": {**scaling, "rope_theta": 500.0}, "layer_types": "@alternate", "sliding_window": 8})
    case("nested", 5, {"rope_parameters": NESTED})
    case("nested_full", 5, {"rope_parameters": NESTED, "layer_types": "@full"})
    case("nested_typed", 5, {"rope_parameters": NESTED, "layer_types": "@alternate", "sliding_window": 8})
    case("nested_alike", 5, {"rope_parameters": {k: {"rope_type": "default", "rope_theta": 500.0} for k in NESTED}, "layer_types": "@alternate"})
    case("nested_one", 5, {"rope_parameters": {"full_attention": NESTED["full_attention"]}, "layer_types": "@full"})
    case("nested_scaling", 5, {"rope_scaling": NESTED, "layer_types": "@full"})
    case("nested_scaling_4", 4, {"rope_scaling": NESTED})
    case("nested_mixed", 5, {"rope_parameters": {**NESTED, "rope_type": "default", "rope_theta": 300.0}, "layer_types": "@alternate", "sliding_window": 8})
    case("nested_null", 5, {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 500.0}, "sliding_attention": None}, "layer_types": "@alternate"})
    case("nested_theta_beside", 5, {"rope_parameters": {k: {"rope_type": "default"} for k in NESTED}, "layer_types": "@alternate", "rope_theta": 500.0})
    for name, scaling in dict(yarn=YARN, llama3=LLAMA3).items():
        without = {k: v for k, v in scaling.items() if k != "original_max_position_embeddings"}
        five = {**scaling, "rope_theta": 500.0}
        case("original_both_5_" + name, 5, {"rope_parameters": five, "original_max_position_embeddings": 128})
        case("original_both_4_" + name, 4, {"rope_scaling": scaling, "original_max_position_embeddings": 128})
        case("original_outer_" + name, 4, {"rope_scaling": without, "original_max_position_embeddings": 128})
        case("original_none_" + name, 4, {"rope_scaling": without})
        case("original_float_4_" + name, 4, {"rope_scaling": {**scaling, "original_max_position_embeddings": 32.0}})
        case("original_float_5_" + name, 5, {"rope_parameters": {**five, "original_max_position_embeddings": 32.0}})
        case("original_half_" + name, 5, {"rope_parameters": {**five, "original_max_position_embeddings": 32.5}})
    case("original_float_outer", 4, {"rope_scaling": YARN, "original_max_position_embeddings": 64.0})
    for key in ("partial_rotary_factor", "rotary_pct"):
        case(key + "_4", 4, {key: 0.5})
        case(key + "_alone", 5, {key: 0.5, "rope_parameters": {k: v for k, v in flat.items() if k != "partial_rotary_factor"}})
        case(key + "_inside", 5, {"rope_parameters": {**flat, key: 0.5}})
    case("partial_absent", 4, {}, "partial_rotary_factor", "rotary_pct")
    case("partial_twice", 4, {"partial_rotary_factor": 0.5, "rope_scaling": {"rope_type": "default", "partial_rotary_factor": 1.0}})
    for types in ("alternate", "full", "sliding"):
        for window in (8, None):
            for use in (True, False, None):
                used = {} if use is None else {"use_sliding_window": use}
                case(f"types_{types}_{window}_{use}", 5, {"layer_types": "@" + types, "sliding_window": window, **used})
    for types in ("alternate", "old", "chunked", "unknown", "linear", "short", "long"):
        case(f"types_{types}_4", 4, {"layer_types": "@" + types, "sliding_window": 8})
    for window in (8, None, 0, 1000):
        case(f"window_{window}", 5, {"sliding_window": window}, "layer_types")
        case(f"window_{window}_used", 5, {"sliding_window": window, "use_sliding_window": True, "max_window_layers": 1}, "layer_types")
    case("window_absent", 5, {}, "sliding_window", "layer_types")
    for pattern in (1, 2, 3, "LLG", None):
        case(f"pattern_{pattern}", 5, {"sliding_window": 8, "sliding_window_pattern": pattern}, "layer_types")
    case("own_pattern", 5, {"sliding_window": 8, "_sliding_window_pattern": 2}, "layer_types")
    for key in ("attn_logit_softcapping", "final_logit_softcapping"):
        case(key + "_zero", 5, {key: 0.0})
        case(key + "_absent", 5, {}, key)
    key = next(key for key in ("hidden_activation", "activation", "hidden_act") if key in text)
    case("activation_absent", 5, {}, "hidden_act", "hidden_activation", "activation")
    case("activation_both", 5, {"hidden_act": "relu", "hidden_activation": "gelu"})
    for activation in ACTIVATIONS:
        case("activation_" + activation, 5, {key: activation})
    layers = dict(empty={}, window={"0": {"sliding_window": 4}}, activation={"1": {key: "relu"}}, epsilon={"0": {"rms_norm_eps": 0.5}},
                  heads={"0": {"num_key_value_heads": 1}}, width={"1": {"head_dim": 8}})
    for name, value in layers.items():
        case("per_layer_" + name, 5, {"per_layer_config": value})
    for tie in (True, False, None):
        for ends in ("both", "embedding", "head", "equal"):
            if tie is None:
                case(f"tie_absent_{ends}", 5, {}, "tie_word_embeddings", ends=ends)
            else:
                case(f"tie_{tie}_{ends}", 5, {"tie_word_embeddings": tie}, ends=ends)
                case(f"outer_tie_{tie}_{ends}", 5, {"^tie_word_embeddings": tie}, ends=ends)
    case("text_type_absent", 5, {}, "model_type")
    for key, values in VALUES.items():
        for value in values:
            case(f"key_{key}_{json.dumps(value)}", 5, {key: value})
    for key in NULLS:
        case(f"null_{key}", 5, {key: None})
    return result


def expand(value, layers):
    words = dict(alternate=["sliding_attention", "full_attention"], full=["full_attention"], sliding=["sliding_attention"],
                 old=["attention"], chunked=["chunked_attention"], unknown=["foo"], linear=["linear_attention"], zero=[0], one=[1])
    if not (isinstance(value, str) and value.startswith("@")):
        return value
    if value in ("@short", "@long"):
        return ["full_attention"] * (layers - 1 if value == "@short" else layers + 1)
    return [words[value[1:]][i % len(words[value[1:]])] for i in range(layers)]


def apply(config, set_, left_out):
    config = copy.deepcopy(config)
    text = config.get("text_config", config)
    for key in left_out:
        if key != "model_type" or text is not config:
            text.pop(key, None)
    for key, value in set_.items():
        target, name = (config, key[1:]) if key.startswith("^") else (text, key)
        target[name] = expand(copy.deepcopy(value), text["num_hidden_layers"])
    return config


def stored(tensors, ends):
    """Embedding and output projection as `ends` says; a projection that is not there is the embedding backwards."""
    tensors = dict(tensors)
    embedding = next(n for n in tensors if n.endswith(("embed_tokens.weight", "word_embeddings.weight", "embed_in.weight")))
    head = next((n for n in tensors if n.endswith(("lm_head.weight", "embed_out.weight"))), None)
    head = head or ("embed_out.weight" if "embed_in" in embedding else "lm_head.weight")
    other = tensors.pop(head, tensors[embedding].flip(0).contiguous())
    if ends == "both":
        tensors[head] = other
    if ends == "equal":
        tensors[head] = tensors[embedding].clone()
    if ends == "head":
        tensors[head] = tensors.pop(embedding)
    return tensors


def run(folder, wraps, tokens):
    auto = AutoModelForImageTextToText if wraps else AutoModelForCausalLM
    dtype = {"dtype" if MAJOR > 4 else "torch_dtype": torch.float32}
    try:
        model, info = auto.from_pretrained(folder, attn_implementation="eager", output_loading_info=True, **dtype)
        # Version 4 names parts of some vision towers otherwise; the language model is what counts.
        if any("vision" not in str(key) for key in (*info["missing_keys"], *info["mismatched_keys"])):
            return "partial", None
        with torch.no_grad():
            logits = model.eval()(input_ids=tokens[None], use_cache=False).logits[0].float()
    except Exception:
        return "error", None
    return ("ok", logits) if torch.isfinite(logits).all() else ("error", None)


def outcomes(reference, name, asked=None):
    folder = f"{reference}/{name}"
    configs = {dialect: json.load(open(f"{folder}/{file}")) for dialect, file in ((5, "config.json"), (4, "config_v4.json"))}
    tokens = load_file(folder + "/reference.safetensors")["input_ids"]
    tensors = {}
    for file in sorted(os.listdir(folder)):
        if file.startswith("model") and file.endswith(".safetensors"):
            tensors.update(load_file(f"{folder}/{file}"))
    wraps = "text_config" in configs[5]
    cases = patches(configs[5].get("text_config", configs[5]))
    base = configs[5] if MAJOR > 4 else configs[4]
    result = {}
    with tempfile.TemporaryDirectory() as temporary:
        def one(config, ends):
            shutil.rmtree(temporary + "/x", ignore_errors=True)
            os.makedirs(temporary + "/x")
            json.dump(config, open(temporary + "/x/config.json", "w"))
            save_file(stored(tensors, ends) if ends else tensors, temporary + "/x/model.safetensors", metadata={"format": "pt"})
            return run(temporary + "/x", wraps, tokens)

        plain = one(base, None)[1]
        for case, (dialect, set_, left_out, ends) in cases.items():
            speaks5 = "rope_parameters" in set_ or "rope_parameters" in left_out or "rope_scaling" in set_
            if MAJOR == 4 and (dialect == 5 and speaks5 or asked.get(case) != "error"):
                continue
            outcome, logits = one(apply(configs[5] if MAJOR > 4 and dialect == 5 else configs[4], set_, left_out), ends)
            if logits is not None:
                same = logits.shape == plain.shape and bool((logits - plain).abs().max() < 1e-6)
                outcome = "same" if same else [float(f"{x:.7g}") for x in logits[-1, :6].tolist()]
            result[case] = outcome
    return cases, result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    shared, own, results = {}, {}, {}
    first = json.load(open(arguments.out + "/cases_5.json"))["outcomes"] if MAJOR == 4 else {}
    for name in arguments.names or MODELS:
        cases, results[name] = outcomes(HERE + "/../Reference", name, first.get(name))
        for case, (dialect, set_, left_out, ends) in cases.items():
            if case not in results[name]:
                continue
            patch = {"dialect": dialect, "set": set_} | ({"without": left_out} if left_out else {}) | ({"ends": ends} if ends else {})
            if shared.setdefault(case, patch) != patch:
                own.setdefault(name, {})[case] = patch
        print(name, len(results[name]), flush=True)
    line = lambda items: ",\n".join(f"    {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in items.items())
    with open(f"{arguments.out}/cases_{MAJOR}.json", "w") as file:
        file.write(f'{{\n  "transformers": "{transformers.__version__}",\n  "patches": {{\n{line(shared)}\n  }},\n  "own": {{\n{line(own)}\n'
                   f'  }},\n  "outcomes": {{\n{line(results)}\n  }}\n}}\n')


main()
