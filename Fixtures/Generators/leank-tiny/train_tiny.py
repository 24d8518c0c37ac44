from common import *
from tokenizers import Tokenizer, models, pre_tokenizers, decoders, trainers, Regex
import sys

torch.set_num_threads(2)
T0 = time.time()
BUD = float(sys.argv[1])
VB = "finds keeps paints carries watches builds guards follows opens repairs borrows counts hides lifts marks".split()


def sent(r):
    return f" The {ADJ[r.integers(len(ADJ))]} {NOUN[r.integers(len(NOUN))]} {VB[r.integers(len(VB))]} the {ADJ[r.integers(len(ADJ))]} {NOUN[r.integers(len(NOUN))]}."


def num(r):
    return str(r.integers(1000, 10000))


def key(r):
    return f"{ADJ[r.integers(len(ADJ))]}-{NOUN[r.integers(len(NOUN))]}"


def ndl(k, v):
    return f" The key of {k} is {v}."


rr = np.random.default_rng(0)
texts = [
    "".join(sent(rr) + ndl(key(rr), num(rr)) for _ in range(30))
    + " Question: What is the key of x? Answer: The key of x is"
    for _ in range(400)
]
tok = Tokenizer(models.BPE())
tok.pre_tokenizer = pre_tokenizers.Sequence(
    [
        pre_tokenizers.Split(
            Regex(
                r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
            ),
            "isolated",
        ),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
)
tok.decoder = decoders.ByteLevel()
tok.train_from_iterator(
    texts,
    trainers.BpeTrainer(
        vocab_size=640,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    ),
)
tok.save("tokenizer.json")
V = tok.get_vocab_size()
print("vocab", V, flush=True)
cache = {}


def enc(t):
    if t not in cache:
        cache[t] = tok.encode(t).ids
    return cache[t]


def encs(t):
    return tok.encode(t).ids


def seq(r, T):
    nn = int(r.integers(1, max(2, min(9, T // 40))))
    ks = [key(r) for _ in range(nn)]
    vs = [num(r) for _ in ks]
    nq = int(r.integers(1, min(nn, 3) + 1))
    q = []
    w = []
    for j in r.permutation(nn)[:nq]:
        a = encs(f" Question: What is the key of {ks[j]}? Answer: The key of {ks[j]} is")
        b = encs(" " + vs[j])
        e = enc(".")
        q += a + b + e
        w += [0.2] * len(a) + [0.2] * (len(b) - 4) + [3.0] * 4 + [0.2] * len(e)
    nd = [encs(ndl(k, v)) for k, v in zip(ks, vs)]
    room = T - len(q) - sum(map(len, nd))
    hay = []
    while len(hay) < room:
        hay += encs(sent(r) if r.random() < 0.7 else ndl(key(r), num(r)))
    hay = hay[: max(room, 0)]
    cut = sorted(int(z) for z in r.integers(0, len(hay) + 1, nn))
    o = []
    l = 0
    for c_, p in zip(cut, nd):
        o += hay[l:c_] + p
        l = c_
    o += hay[l:]
    W_ = [0.2] * len(o) + w
    o += q
    return o[-T:], W_[-T:]


def copyseq(r, T):
    n = int(r.integers(6, max(8, T // 2)))
    if r.random() < 0.4:
        a = r.integers(1, V, n).tolist()
    else:
        a = []
        while len(a) < n:
            a += encs(sent(r) if r.random() < 0.4 else ndl(key(r), num(r)))
        a = a[:n]
    o = (a * (T // len(a) + 2))[:T]
    return o, [0.02] * len(a) + [1.0] * (T - len(a))


if __name__ == "__main__":
    c = Cfg(vocab=V, d=128, L=4, H=4, KV=2, hd=64, ff=352, theta=10000.0, maxpos=1024)
    torch.manual_seed(0)
    m = Model(c)
    print("params", sum(p.numel() for p in m.parameters()), flush=True)
    mats = [p for n_, p in m.blocks.named_parameters() if p.dim() == 2]
    ids_ = {id(p) for p in mats}
    oth = [p for p in m.parameters() if id(p) not in ids_]
    o1 = Muon(mats, lr=0.02)
    o2 = torch.optim.AdamW(oth, lr=4e-3, betas=(0.9, 0.95), weight_decay=0)
    r = np.random.default_rng(1)
    step = 0
    em = {}
    while time.time() - T0 < BUD:
        fr = (time.time() - T0) / BUD
        f = min(1, (step + 1) / 100) * (1 if fr < 0.6 else max(0.02, (1 - fr) / 0.4))
        o1.param_groups[0]["lr"] = 0.02 * f
        o2.param_groups[0]["lr"] = 4e-3 * f
        T = 96 if fr < 0.35 else (192 if fr < 0.65 else int(r.choice([192, 384])))
        B = 6144 // T
        pc = 0.6 if fr < 0.35 else 0.3
        z = [copyseq(r, T + 1) if r.random() < pc else seq(r, T + 1) for _ in range(B)]
        x = torch.tensor([a for a, _ in z])
        w = torch.tensor([b for _, b in z])
        loss, ce = m(x[:, :-1], x[:, 1:].contiguous(), w[:, 1:].contiguous())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0)
        o1.step()
        o2.step()
        m.zero_grad(set_to_none=True)
        step += 1
        ww = w[:, 1:].reshape(-1)
        for nme, sel in (("needle", ww > 2), ("copy", ww == 1.0), ("lm", ww < 1)):
            if sel.any():
                em[nme] = 0.97 * em.get(nme, ce[sel].mean().item()) + 0.03 * ce[sel].mean().item()
        if step % 100 == 0:
            print(
                step,
                "t %.0f" % (time.time() - T0),
                "T",
                T,
                {k: round(v, 3) for k, v in em.items()},
                flush=True,
            )
        if step % 500 == 0:
            torch.save(m.state_dict(), "tiny.pt")
    torch.save(m.state_dict(), "tiny.pt")
    print("done", step)
