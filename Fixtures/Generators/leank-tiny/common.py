import torch, torch.nn as nn, torch.nn.functional as F, numpy as np, math, random, json, os, time


class Cfg:
    vocab = 8192
    d = 512
    L = 8
    H = 8
    KV = 4
    hd = 64
    ff = 1280
    theta = 100000.0
    eps = 1e-5
    maxpos = 4096

    def __init__(s, **k):
        for a, b in k.items():
            setattr(s, a, b)


def rope(T, hd, theta, dev, pos=None):
    inv = 1.0 / (theta ** (torch.arange(0, hd, 2, device=dev).float() / hd))
    t = (torch.arange(T, device=dev) if pos is None else pos).float()
    f = torch.outer(t, inv)
    e = torch.cat([f, f], -1)
    return e.cos(), e.sin()


def rot(x):
    a, b = x.chunk(2, -1)
    return torch.cat([-b, a], -1)


def apply_rope(x, c, s):
    return x * c + rot(x) * s


class RMS(nn.Module):
    def __init__(s, d, eps):
        super().__init__()
        s.weight = nn.Parameter(torch.ones(d))
        s.eps = eps

    def forward(s, x):
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + s.eps)
        return (y * s.weight).to(x.dtype)


class Block(nn.Module):
    def __init__(s, c):
        super().__init__()
        s.c = c
        s.n1 = RMS(c.d, c.eps)
        s.n2 = RMS(c.d, c.eps)
        s.q = nn.Linear(c.d, c.H * c.hd, bias=False)
        s.k = nn.Linear(c.d, c.KV * c.hd, bias=False)
        s.v = nn.Linear(c.d, c.KV * c.hd, bias=False)
        s.o = nn.Linear(c.H * c.hd, c.d, bias=False)
        s.g = nn.Linear(c.d, c.ff, bias=False)
        s.u = nn.Linear(c.d, c.ff, bias=False)
        s.dn = nn.Linear(c.ff, c.d, bias=False)

    def qkv(s, x, cos, sin):
        B, T, _ = x.shape
        c = s.c
        h = s.n1(x)
        q = s.q(h).view(B, T, c.H, c.hd).transpose(1, 2)
        k = s.k(h).view(B, T, c.KV, c.hd).transpose(1, 2)
        v = s.v(h).view(B, T, c.KV, c.hd).transpose(1, 2)
        cos = cos.to(q.dtype)
        sin = sin.to(q.dtype)
        return apply_rope(q, cos, sin), apply_rope(k, cos, sin), v

    def rest(s, x, a):
        B, _, T, _ = a.shape
        x = x + s.o(a.transpose(1, 2).reshape(B, T, -1))
        h = s.n2(x)
        return x + s.dn(F.silu(s.g(h)) * s.u(h))

    def forward(s, x, cos, sin):
        q, k, v = s.qkv(x, cos, sin)
        return s.rest(x, F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True))


class Model(nn.Module):
    def __init__(s, c):
        super().__init__()
        s.c = c
        s.emb = nn.Embedding(c.vocab, c.d)
        s.blocks = nn.ModuleList([Block(c) for _ in range(c.L)])
        s.nf = RMS(c.d, c.eps)
        for p in s.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)

    def hidden(s, ids):
        x = s.emb(ids)
        cos, sin = rope(ids.shape[1], s.c.hd, s.c.theta, ids.device)
        for b in s.blocks:
            x = b(x, cos, sin)
        return s.nf(x)

    def forward(s, ids, tgt, w):
        h = s.hidden(ids)
        lg = h @ s.emb.weight.T.to(h.dtype)
        ce = F.cross_entropy(lg.float().view(-1, s.c.vocab), tgt.view(-1), reduction="none")
        return (ce * w.view(-1)).sum() / w.sum(), ce


def ns5(G, steps=5):
    a, b, c = (3.4445, -4.7750, 2.0315)
    X = G.float()
    t = X.size(0) > X.size(1)
    if t:
        X = X.T
    X = X / (X.norm() + 1e-7)
    for _ in range(steps):
        A = X @ X.T
        X = a * X + (b * A + c * A @ A) @ X
    return X.T if t else X


class Muon(torch.optim.Optimizer):
    def __init__(s, ps, lr=0.02, m=0.95):
        super().__init__(ps, dict(lr=lr, m=m))

    @torch.no_grad()
    def step(s):
        for g in s.param_groups:
            for p in g["params"]:
                st = s.state[p]
                if "b" not in st:
                    st["b"] = torch.zeros_like(p.grad)
                st["b"].lerp_(p.grad, 1 - g["m"])
                u = p.grad.lerp(st["b"], g["m"])
                p.mul_(1 - g["lr"] * 0.02)
                p.add_(ns5(u).to(p.dtype), alpha=-g["lr"] * max(1, p.size(0) / p.size(1)) ** 0.5)


ADJ = "quiet brave amber hollow silver gentle rapid crimson distant frozen golden humble ivory jagged keen lively mellow narrow olive patient quaint rustic scarlet tender upbeat vivid wooden yellow zealous bright calm dusty early faint grand heavy inner jolly kind large misty noble odd plain quick royal sharp tall urban vast warm young azure bold clever dark eager fancy green happy icy joint known light mild new open proud rare soft thin used vague wide".split()
NOUN = "river mountain lantern garden harbor forest window engine bridge castle desert meadow island valley canyon tunnel market temple planet shadow thunder candle anchor basket cabin dragon falcon glacier hammer insect jungle kettle ladder mirror needle orchard pencil quarry ribbon saddle tiger umbrella violin wagon yacht zebra apple beacon copper dolphin eagle feather guitar helmet igloo jacket knight lemon magnet nickel ocean parrot quilt rabbit spider turtle vessel walnut button circle".split()
