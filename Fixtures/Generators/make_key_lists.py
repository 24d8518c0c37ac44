#!/usr/bin/env python3
"""Keys of config.json that transformers' classes of each family know, for one of its versions.

    python make_key_lists.py --out ../Configurations                           # transformers 5
    PYTHONPATH=FOLDER_WITH_TRANSFORMERS_4 python make_key_lists.py --out ../Configurations

A key is known where the configuration class has it as a field or as an argument, takes it from its keyword arguments, lets it
stand for another, or where the family's modelling module asks the configuration for it. Writes keys_5.json or keys_4.json.
"""
import argparse, ast, dataclasses, importlib, inspect, json, os, textwrap

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import transformers
from transformers import CONFIG_MAPPING

FAMILIES = """llama mistral ministral mixtral qwen2 qwen3 qwen3_moe phi3 gemma2 gemma3_text olmo2 glm4 granite starcoder2 stablelm
gpt_neox cohere cohere2 falcon smollm3 gpt_oss exaone4 gemma3 mistral3 llava llava_next llava_next_video llava_onevision vipllava
internvl aya_vision cohere2_vision qwen2_vl qwen2_5_vl qwen3_vl""".split()
# Arguments of the loading functions, which are no keys.
LOADING = """cache_dir commit_message force_download gguf_file local_files_only proxies repo_id resume_download return_unused_kwargs
revision subfolder token trust_remote_code use_auth_token get_text_config""".split()


def of_class(cls):
    keys = set()
    if dataclasses.is_dataclass(cls):
        keys |= {field.name for field in dataclasses.fields(cls)}
    for base in cls.__mro__:
        if not base.__module__.startswith("transformers"):
            continue
        if "__init__" in base.__dict__ and not dataclasses.is_dataclass(base):
            keys |= set(inspect.signature(base.__init__).parameters) - {"self", "kwargs"}
        aliases = getattr(base, "attribute_map", {})
        keys |= set(aliases) | set(aliases.values())
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(base)))):
            if (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("pop", "get", "setdefault")
                    and ast.unparse(node.func.value) == "kwargs" and node.args and isinstance(node.args[0], ast.Constant)):
                keys.add(node.args[0].value)
    return keys


def of_module(module):
    keys = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).split(".")[-1] in ("config", "text_config"):
            keys.add(node.attr)
        if (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr")
                and "config" in ast.unparse(node.args[0]) and isinstance(node.args[1], ast.Constant)):
            keys.add(node.args[1].value)
    return keys


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    families = {}
    for name in FAMILIES:
        cls = CONFIG_MAPPING[name]
        modelling = importlib.import_module(cls.__module__.replace("configuration_", "modeling_"))
        keys = of_class(cls) | of_module(modelling)
        families[name] = sorted(key for key in keys if not key.startswith("_") and key not in LOADING)
    major = transformers.__version__.split(".")[0]
    common = sorted(set.intersection(*(set(keys) for name, keys in families.items() if "text_config" not in keys)))
    families = {name: [key for key in keys if key not in common] for name, keys in families.items()}
    lines = [f'  {json.dumps(name)}: {json.dumps(keys)}' for name, keys in {"*": common, **families}.items()]
    with open(os.path.join(arguments.out, f"keys_{major}.json"), "w") as file:
        file.write(f'{{\n  "transformers": {json.dumps(transformers.__version__)},\n' + ",\n".join(lines) + "\n}\n")


main()
