#!/usr/bin/env python3
"""Small tokenizers of every kind that leank computes, and what Hugging Face's library makes of hard texts.

    pip install tokenizers==0.23.3
    python3 Generators/make_tokenizers.py Tokenizers

Writes texts.json (a list of texts) and for each pipeline NAME.json (a tokenizer.json) and NAME.cases.json with ids (special
tokens added), plain (without them; null where the same), decoded (special tokens kept) and shown (left out; null where the same), one entry a text. classes.json has
what Oniguruma's character classes contain among the scalars that Unicode 14 assigns, as hashes; patterns.json what it
splits some texts into. Bit-identical on rerun."""
import json
import os
import random
import sys
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = """The key of amber-bridge is 4821. Question: what is the key of the river? It's the one they'd seen; we've 12 of them.
Der Fluß fließt über die Brücke, naïve cafés über alles. 層は鍵です。文字化け。 ключ от моста 300 руб. def main(argv): return argv[0] + 1
    if x == 0:\n        print("nothing there")\n\n\tthe end, the other one and the other thing\r\n""" * 3

HARD = ["", " ", "\n", "a", "  ", "\t\t\n ", "<s>", "</s>x", "x<tool>y", "x <tool> y", "  <tool>  ", "<toolx>", "<left>  z", "a  <left>", "<right>   b",
        "<right> <left>", "<both>", " <both> <both> ", "wordword", "word word", "a_word word_", "-word-", "\u00e9word", "Tool TOOL tool", "TOOL\u0130", "<|im_start|>user\nhi<|im_end|>\n",
        "e\u0301 \u00e9", "\u200d", "\ufb01", "\u2167", "\u2460", "\u0130", "\u01c5", "\u00a0x", "\u3000y", "\x00z", "a\u0300\u0301b", "\U0001f44d\U0001f3fd", "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7",
        "\r\n\r\n", "\"'`", "\u2019s", "'S", "I'Ve we'LL they'\u017f", "\uff11\uff12\uff13", "\u0663\u0664\u0665", "a" * 120, " " * 40, "\n" * 20, "0" * 50, "\u00dcn\u00ef", "\u00df\u1e9e", "\ufdfa",
        "\ufeffBOM", "\u2028x", "x\u0085y", "\u180e", "\u212a K \u212b", "\uac00\u1100\u1161\u11a8", "q\u0307\u0323 q\u0323\u0307", "\u0344\u0f73", "\u1e9b\u0323", "the the the", "other thing", "It's they'd we've", "x == 0:\n        print",
        "12345678901234", "3.14 1,000", "a-b-c", "--", "a, b; c!", "$+<=>^`|~", "\u2014\u00bf\u00a1", "\u5c64\u306f\u9375", "\u043a\u043b\u044e\u0447 \u043e\u0442", "\u0939\u093f\u0928\u094d\u0926\u0940", "\u2581x \u2581", "\u0120x \u010a",
        "<0x0A>", "\U00020000\U0001d400", "\u00b2\u00bd\u24b6", "camelCaseHTTPServer", "XMLHttp's", "a\u200cb\u200dc", "\u0130stanbul \u03a3\u03a3", "ab\ufffdc", "\U000e0041"]

def texts():
    rng = random.Random(21)
    pieces = HARD + ["the", " key", "\u0301", "\u0323", "'s", " ", "  ", "\n", "7", "\u00e9", "\u5c64", ".", "<tool>", "</s>", "word", "\u2014", "Z", "\u017f", "\u00ad", "\u0915\u094d"]
    return HARD + ["".join(rng.choice(pieces)[:24] for _ in range(rng.randint(2, 9))) for _ in range(50)]

GPT4 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CL100K = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
         r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
KIMI = r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
DEEPSEEK = [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"]

def split(regex, behavior="isolated", invert=False): return pre_tokenizers.Split(Regex(regex), behavior, invert)
def byte_level(**k): return pre_tokenizers.ByteLevel(add_prefix_space=k.pop("add_prefix_space", False), **k)
def seq(*parts): return pre_tokenizers.Sequence(list(parts))

def flags(normalized):
    """Added tokens with every flag."""
    f = dict(normalized=normalized, special=False)
    return [AddedToken("<tool>", **f), AddedToken("<left>", lstrip=True, **f), AddedToken("<right>", rstrip=True, **f), AddedToken("<both>", lstrip=True, rstrip=True, **f),
            AddedToken("word", single_word=True, **f), AddedToken("Tool", **f), AddedToken("<tool", **f)]

LLAMA2 = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
GEMMA = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])

def train(pre, normalizer, size, alphabet, byte_fallback, unk, special, limit_alphabet=None):
    model = models.BPE(byte_fallback=byte_fallback, unk_token=unk, fuse_unk=byte_fallback)
    t = Tokenizer(model)
    if pre is not None: t.pre_tokenizer = pre
    if normalizer is not None: t.normalizer = normalizer
    kw = dict(limit_alphabet=limit_alphabet) if limit_alphabet else {}
    t.train_from_iterator(CORPUS.split("\n"), trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, special_tokens=special, show_progress=False, **kw))
    return t

def pipelines():
    bl = pre_tokenizers.ByteLevel.alphabet()
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    base = ["<unk>", "<s>", "</s>"]
    template = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    around = processors.TemplateProcessing(single="<s> <s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    def level(pre, normalizer=None, **model):
        t = train(pre, normalizer, 330, bl, False, None, base)
        t.decoder = decoders.ByteLevel()
        for k, v in model.items(): setattr(t.model, k, v)
        return t
    def fallback(pre, normalizer, tokens=bytes_, **k):
        t = train(pre, normalizer, 160, [], True, "<unk>", base, **k)
        data = json.loads(t.to_str())
        vocab = data["model"]["vocab"]
        for token in tokens: vocab.setdefault(token, len(vocab))
        return Tokenizer.from_str(json.dumps(data))
    im = [AddedToken("<|im_start|>", special=True, normalized=False), AddedToken("<|im_end|>", special=True, normalized=False)]

    t = level(byte_level()); t.add_tokens(flags(False)); yield "gpt2", t
    t = level(byte_level(add_prefix_space=True)); t.post_processor = processors.ByteLevel(trim_offsets=True); t.add_tokens(flags(True)); yield "prefix_space", t
    t = level(byte_level(), normalizers.NFC()); t.add_special_tokens(im); yield "gpt_neox", t
    t = level(seq(split(GPT4), byte_level(use_regex=False))); t.model.ignore_merges = True; t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template]); t.add_special_tokens(im); yield "llama3", t
    t = level(seq(split(O200K), byte_level(use_regex=False))); t.post_processor = around; yield "o200k", t
    t = level(seq(split(CL100K), byte_level(use_regex=False))); yield "cl100k", t
    t = level(seq(split(KIMI), byte_level(use_regex=False))); yield "han", t
    t = level(seq(*[split(p) for p in DEEPSEEK], pre_tokenizers.Digits(True), byte_level(use_regex=False))); t.add_special_tokens(im); yield "deepseek", t
    t = level(seq(pre_tokenizers.Digits(False), byte_level()), normalizers.NFKC()); t.add_tokens(flags(True)); yield "digits_nfkc", t
    t = level(seq(pre_tokenizers.Punctuation("merged_with_next"), byte_level(use_regex=False)), normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase()])); t.add_tokens(flags(True)); yield "lowercase_nfd", t
    t = level(seq(pre_tokenizers.Whitespace(), byte_level(use_regex=False)), normalizers.NFKD()); yield "whitespace_nfkd", t
    t = level(seq(pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation(), byte_level(use_regex=False)), normalizers.Strip()); yield "whitespace_split", t
    t = level(seq(split(r"\d+", "removed"), split("[aeiou]", "contiguous"), split(r"\s", "merged_with_previous"), split("x", "merged_with_next"), split(r"\w+", "isolated", True), byte_level(use_regex=False)))
    t.decoder = None; yield "behaviors", t
    n = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    t = fallback(None, n); t.decoder = LLAMA2; t.post_processor = template; t.add_tokens(flags(True)[:5]); yield "llama2", t
    t = fallback(pre_tokenizers.Split(" ", "merged_with_previous"), normalizers.Replace(" ", "\u2581")); t.decoder = GEMMA; t.post_processor = template; t.add_special_tokens(im); yield "gemma", t
    t = fallback(pre_tokenizers.Metaspace(prepend_scheme="first", split=False), None); t.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")])
    t.add_tokens(flags(False)); yield "metaspace_first", t
    t = fallback(pre_tokenizers.Metaspace(prepend_scheme="always", split=True), normalizers.Sequence([normalizers.Strip(True, False), normalizers.Replace(Regex(r"[\r\n]+"), " ")]), limit_alphabet=40)
    t.decoder = decoders.Metaspace(prepend_scheme="always"); yield "metaspace_always", t
    t = fallback(pre_tokenizers.Metaspace(prepend_scheme="never"), None, bytes_[:0xC0], limit_alphabet=30); t.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Replace(Regex("\u2581+"), " "), decoders.Fuse(), decoders.Strip("a", 2, 0)]); yield "some_bytes", t
    t = train(pre_tokenizers.WhitespaceSplit(), None, 120, [], False, "<unk>", base, 50); t.model.fuse_unk = True; t.decoder = decoders.Fuse(); yield "fused_unknown", t
    t = train(pre_tokenizers.WhitespaceSplit(), None, 120, [], False, "<unk>", base, 50); t.decoder = None; yield "unknown", t
    t = train(pre_tokenizers.WhitespaceSplit(), None, 120, [], False, None, base, 50); yield "dropped", t

def write(path, value, **k):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, ensure_ascii=False, **k)
        f.write("\n")

CLASSES = [r"\s", r"\d", r"\w", r"\S", r"\p{Han}", r".", r"[^\s\p{L}\p{N}]", r"[a-z\p{Lu}&&[^A-F]]", r"\P{P}", r"\p{^Sm}", r"(?i:[k-t])", r"[\x41-\u00ff]"] + [
    "\\p{%s}" % c for c in "L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp Cc Cf Co".split()]

def classes():
    """FNV-1a over one byte a scalar, 0 or 1, for the scalars in ranges that Unicode 14 assigns."""
    assigned = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and unicodedata.category(chr(c)) != "Cn" and not 0xF0000 <= c and c != 0x295]  # U+0295 is another kind of letter since Unicode 17
    ranges, start = [], assigned[0]
    for a, b in zip(assigned, assigned[1:] + [None]):
        if b != a + 1: ranges.append([start, a]); start = b
    # between two ideographs of its own, each scalar is one split whether it matches or not
    text = "".join(map(chr, assigned))
    hashes = {}
    for c in CLASSES:
        found = bytearray(len(assigned))
        for _, (a, b) in split(f"(?:{c})", "removed", True).pre_tokenize_str(text):
            for i in range(a, b): found[i] = 1
        h = 0xcbf29ce484222325
        for bit in found: h = (h ^ bit) * 0x100000001b3 & 0xffffffffffffffff
        hashes[c] = {"count": sum(found), "hash": f"{h:016x}"}
    return {"assigned": ranges, "classes": hashes}

PATTERNS = [r"(?<=a)b+", r"(?<!a)b", r"a{2,3}", r"a{2}", r"a{,2}b", r"a{1,2}+b", r"(?:ab){1,2}+", r"a{1,2}?b", r"a{1,}?b", r"(?:ab|c)+", r"(?:ab|c)+?", r"a+?b", r"(?>a+)b", r"a++b", r"^b", r"b$", r"\Ab", r"b\z", r"\bb", r"b\B", r"[b-]", r"[^b]+", r"(a|ab)(c|bcd)(d*)b",
            r"(?i)ab", r"(?i:s)", r"x*y|\n+", r"(?=b)b|(?!a)c", r"(?:a|b){3}", r"(?:a|b){1,}?c", r"\x61\u0062", r"\.|\-|\[", r"b?c", r"(?:b?a){2}", r"[[a-c]&&[b-z]]+", r"[\d\-x]+", r"(?:\s(?!b))+", r"c.+b", r"\p{L}+(?=\p{N})"]

def patterns():
    rng = random.Random(4)
    sample = ["ab\nb", "aab ab\nb\n", "b", "\nb\n", "AaBb S\u017fs", "abcd abcbcdb"] + ["".join(rng.choice("aabbc\n xy1.-[\u00e9") for _ in range(14)) for _ in range(24)]
    result = []
    for p in PATTERNS:
        rows = []
        for text in sample:
            rows.append([t for t, _ in split(p, "isolated").pre_tokenize_str(text)])
        result.append({"pattern": p, "splits": rows})
    return {"texts": sample, "patterns": result}

def main(out):
    os.makedirs(out, exist_ok=True)
    hard = texts()
    write(out + "/texts.json", hard, indent=0)
    for name, t in pipelines():
        encoded = [t.encode(x).ids for x in hard]
        cases = {"ids": encoded, "plain": [t.encode(x, add_special_tokens=False).ids for x in hard], "decoded": [t.decode(i, skip_special_tokens=False) for i in encoded], "shown": [t.decode(i) for i in encoded]}
        # null where both are the same
        if cases["plain"] == encoded: cases["plain"] = None
        if cases["shown"] == cases["decoded"]: cases["shown"] = None
        data = json.loads(t.to_str())
        if name == "gpt2":
            # as files were written before there were several models, and merges as pairs
            data["model"]["merges"] = [" ".join(m) for m in data["model"]["merges"]]
            data["model"] = {k: v for k, v in data["model"].items() if k not in ("type", "byte_fallback", "ignore_merges")}
            data["model"].update(continuing_subword_prefix="", end_of_word_suffix="")
        again = Tokenizer.from_str(json.dumps(data))
        assert [again.encode(x).ids for x in hard] == encoded, name
        write(f"{out}/{name}.json", data, separators=(",", ":"))
        write(f"{out}/{name}.cases.json", cases, separators=(",", ":"))
    write(out + "/classes.json", classes(), separators=(",", ":"))
    write(out + "/patterns.json", patterns(), separators=(",", ":"))

main(sys.argv[1])
