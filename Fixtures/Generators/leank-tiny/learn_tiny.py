import sys, json
from common import *
import train_tiny as TR

torch.set_num_threads(2)
T0 = time.time()
c = Cfg(vocab=TR.V, d=128, L=4, H=4, KV=2, hd=64, ff=352, theta=10000.0, maxpos=1024)
G = c.H // c.KV
m = Model(c)
m.load_state_dict(torch.load("tiny.pt"))
m = m.to(torch.bfloat16).float()
for p in m.parameters():
    p.requires_grad_(False)
AL = 16


def attn(q, k, ks, v, mode, sink, recent, P, excl):
    B, H, T, D = q.shape
    qq = q.view(B, c.KV, G, T, D)
    qi = torch.arange(T)[:, None]
    kj = torch.arange(T)[None]
    s2 = torch.einsum("bngqd,bnkd->bngqk", qq, ks) / math.sqrt(D)
    if mode == "windowed":
        s1 = torch.einsum("bngqd,bnkd->bngqk", qq, k) / math.sqrt(D)
        full = (qi < P) | (kj < sink) | (kj > qi - recent)
        s = torch.where(full, s1, s2)
        if excl is not None:
            s = s.masked_fill(excl[None, :, None, None, None] & ~full, float("-inf"))
    else:
        s = s2
    s = s.masked_fill(kj > qi, float("-inf")).softmax(-1)
    return torch.einsum("bngqk,bnkd->bngqd", s, v).reshape(B, H, T, D)


def fwd(ids, scale=None, mode="dense", P=0, sink=4, recent=16, excl=None):
    x = m.emb(ids)
    cos, sin = rope(ids.shape[1], c.hd, c.theta, ids.device)
    for i, b in enumerate(m.blocks):
        q, k, v = b.qkv(x, cos, sin)
        if mode == "dense":
            a = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        else:
            a = attn(
                q,
                k,
                k * scale[i][None, :, None, :],
                v,
                mode,
                sink,
                recent,
                P,
                None if excl is None else excl[i],
            )
        x = b.rest(x, a)
    return m.nf(x)


def batch(r, B, T, single=False):
    z = []
    while len(z) < B:
        a, w = TR.seq(r, T + 1)
        if single and sum(1 for v in w if v > 2) != 4:
            continue
        z.append((a, w))
    x = torch.tensor([a for a, _ in z])
    l = torch.tensor([w for _, w in z]) > 2
    return x[:, :-1], x[:, 1:], l[:, 1:]


@torch.no_grad()
def ev(scale=None, mode="dense", excl=None, n=160):
    o = {}
    for T in (192, 384):
        r = np.random.default_rng(11)
        ok = t = 0
        for _ in range(n // 32):
            x, y, l = batch(r, 32, T, True)
            P = T - 24
            h = fwd(x, scale, mode, P, excl=excl)
            p = (h @ m.emb.weight.T).argmax(-1)
            e = ((p == y) | ~l).all(-1)
            ok += e.sum().item()
            t += len(x)
        o[T] = round(ok / t, 3)
    return o


def budget(a, ratio, al=AL):
    a = a.detach()
    L, K, D = a.shape
    s, ix = torch.sort(a, dim=-1, descending=True, stable=True)
    nb = D // al
    blk = s.view(L, K, nb, al).sum(-1)
    N = int(round((1 - ratio) * L * K * nb))
    f = blk.flatten() - torch.arange(nb).repeat(L * K) * 1e-6
    keep = torch.zeros_like(f, dtype=torch.bool)
    keep[f.topk(N).indices] = True
    kc = keep.view(L, K, nb).sum(-1) * al
    rk = torch.empty_like(ix)
    rk.scatter_(-1, ix, torch.arange(D).expand(L, K, D))
    return rk < kc[..., None]


def budgetp(a, ratio):
    h = (a[..., : c.hd // 2] + a[..., c.hd // 2 :]) / 2
    k = budget(h, ratio, AL // 2)
    return torch.cat([k, k], -1)


def tie(a):
    h = (a[..., : c.hd // 2] + a[..., c.hd // 2 :]) / 2
    return torch.cat([h, h], -1)


class STE(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, b):
        return torch.where(b, x, torch.zeros_like(x))

    @staticmethod
    def backward(ctx, g):
        return g, None


def learn(mode, reg, s1, s2, ratios, pair, lr=0.02, B=12):
    r = np.random.default_rng(3)

    def run(a, steps, reg, lr, ratio=None):
        a = a.clone().requires_grad_(True)
        o = torch.optim.AdamW([a], lr=lr, weight_decay=0)
        for st in range(steps):
            o.param_groups[0]["lr"] = lr * min(
                1, max((st + 1) / (steps / 5), 0.1), max((steps - st) / (steps / 5), 0.1)
            )
            with torch.no_grad():
                a.clamp_(0, 1)
            T = int(r.choice([192, 288]))
            x, y, l = batch(r, B, T)
            P = T - 96 if mode == "windowed" else 0
            if mode == "windowed":
                l = l.clone()
                l[:, :P] = False
            with torch.no_grad():
                h0 = fwd(x)
            s = tie(a.clamp(0, 1)) if pair else a.clamp(0, 1)
            if ratio is not None:
                s = STE.apply(
                    s, budgetp(a.clamp(0, 1), ratio) if pair else budget(a.clamp(0, 1), ratio)
                )
            d = ((h0 - fwd(x, s, mode, P))[l] ** 2).mean(-1).mean()
            loss = d + reg * a.abs().mean()
            o.zero_grad()
            loss.backward()
            o.step()
            if st % 50 == 0 or st == steps - 1:
                print(
                    mode,
                    pair,
                    ratio,
                    st,
                    "d %.4f" % d.item(),
                    "a %.3f" % a.mean().item(),
                    "%.0f" % (time.time() - T0),
                    flush=True,
                )
        return a.detach().clamp(0, 1)

    a1 = run(torch.ones(c.L, c.KV, c.hd), s1, reg, lr)
    out = {"stage1": a1}
    for ra in ratios:
        a2 = run(a1, s2, 0, lr / 2, ra)
        out[ra] = (a2, budgetp(a2, ra) if pair else budget(a2, ra))
    return out


if __name__ == "__main__":
    print("dense", ev(), flush=True)
    R = {}
    A = {}
    for name, mode, pair, reg, ratios in (
        ("windowed", "windowed", False, 0.06, [0.5, 0.7]),
        ("static_pairs", "static", True, float(sys.argv[1]), [0.25, 0.5]),
        ("static", "static", False, float(sys.argv[1]), [0.25, 0.5]),
    ):
        o = learn(mode, reg, 200, 80, ratios, pair)
        A[name + "_stage1"] = o["stage1"].numpy()
        for ra in ratios:
            a, k = o[ra]
            ex = (k.sum(-1) == 0) if mode == "windowed" else None
            e = ev(k.float(), mode, ex)
            rnd = torch.rand_like(a)
            rk = (budgetp if pair else budget)(rnd, ra)
            er = ev(rk.float(), mode, (rk.sum(-1) == 0) if mode == "windowed" else None)
            R[f"{name}_{ra}"] = {
                "pruned": round(1 - k.float().mean().item(), 4),
                "learned": e,
                "random": er,
            }
            print(name, ra, R[f"{name}_{ra}"], flush=True)
            A[f"{name}_alpha_r{ra}"] = a.numpy()
            A[f"{name}_mask_r{ra}"] = k.numpy()
    np.savez("tiny_masks.npz", **A)
    json.dump(R, open("tiny_results.json", "w"), indent=1)
