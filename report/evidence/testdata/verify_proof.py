#!/usr/bin/env python3
"""verify_proof.py PROOF SIGNER.pem: checks a mailproof proof of one message.

Standard library only. Written from C2SP tlog-proof, tlog-checkpoint and
signed-note, RFC 6962 and RFC 8032; it shares no code with mailproof.
"""
import base64, hashlib, sys

sha = lambda b: hashlib.sha256(b).digest()
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P

def add(a, b):
    (x, y), (u, v) = a, b
    k = D * x * y * u * v % P
    return (x * v + u * y) * pow(1 + k, -1, P) % P, (y * v + x * u) * pow(1 - k, -1, P) % P

def times(n, p):
    q = (0, 1)
    while n:
        if n & 1: q = add(q, p)
        p, n = add(p, p), n >> 1
    return q

def point(b):
    n = int.from_bytes(b, "little")
    y, sign = n & (2**255 - 1), n >> 255
    xx = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(xx, (P + 3) // 8, P)
    if (x * x - xx) % P: x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - xx) % P or y >= P: sys.exit("not a point")
    return (P - x if x & 1 != sign else x), y

def signed(key, sig, msg):
    base = point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    s = int.from_bytes(sig[32:], "little")
    h = int.from_bytes(hashlib.sha512(sig[:32] + key + msg).digest(), "little") % L
    return s < L and times(s, base) == add(point(sig[:32]), times(h, point(key)))

head, body, sigs = open(sys.argv[1], encoding="utf-8", newline="").read().split("\n\n")
lines = head.split("\n")
if lines[0] != "c2sp.org/tlog-proof@v1": sys.exit("not a proof")
leaf = base64.b64decode(lines[1].removeprefix("extra "), validate=True)
index, path = int(lines[2].removeprefix("index ")), [base64.b64decode(l, validate=True) for l in lines[3:]]
origin, size, root = body.split("\n")
node, i, last = sha(b"\0" + leaf), index, int(size) - 1
if not 0 <= index <= last: sys.exit("no such leaf")
for h in path:
    if i & 1 or i == last:
        node = sha(b"\1" + h + node)
        while not i & 1 and i: i, last = i >> 1, last >> 1
    else: node = sha(b"\1" + node + h)
    i, last = i >> 1, last >> 1
if last or base64.b64encode(node).decode() != root: sys.exit("the line is not in the tree")
key = base64.b64decode("".join(open(sys.argv[2]).read().split("\n")[1:-2]))[-32:]
name, sig = sigs.rstrip("\n").removeprefix("\u2014 ").rsplit(" ", 1)
if name != origin or not signed(key, base64.b64decode(sig)[4:], (body + "\n").encode()): sys.exit("not signed")
print(leaf.decode())
