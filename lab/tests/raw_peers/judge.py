"""Judges `mcbox raw` by other people's code and by the formulas of the standards: hashlib and hmac for
UID and key derivations, `cryptography` for key wrap and AES-GCM, big integers for ECCSI and SAKKE.
Usage: judge.py MCBOX RFC6508.json"""
import base64, hashlib, hmac, json, random, struct, subprocess, sys
from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

box = subprocess.Popen([sys.argv[1], "raw"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
rng = random.Random(33180)
checks = 0

def ask(op, **fields):
    print(json.dumps({"op": op, **fields}), file=box.stdin)
    return json.loads(box.stdout.readline())

def same(what, ours, theirs):
    global checks
    checks += 1
    if ours != theirs:
        sys.exit(f"{what}:\n  mcbox {ours}\n  judge {theirs}")

def octets(count):
    return rng.randbytes(count)

def field(data):
    return data + struct.pack(">H", len(data))

def shortest(number):
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")

# --- UID and key derivations ---------------------------------------------------------------------
def kdf(key, fc, *fields):
    return hmac.new(key, bytes([fc]) + b"".join(map(field, fields)), hashlib.sha256).digest()

for _ in range(50):
    uri, kms = f"sip:u{rng.randrange(10**9)}@a.example", f"kms{rng.randrange(99)}.example"
    period, offset = rng.randrange(1, 2 ** rng.randrange(1, 32)), rng.randrange(2 ** rng.randrange(1, 32))
    time = rng.randrange(2**32)
    number = max(0, time - offset) // period
    fields = [b"MIKEY-SAKKE-UID", uri.encode(), kms.encode(), *map(shortest, (period, offset, number))]
    uid = hashlib.sha256(b"\0" + b"".join(map(field, fields))).hexdigest()
    found = ask("uid", uri=uri, kms_uri=kms, period=period, offset=offset, ntp_seconds=time)
    same("uid", found, {"ok": True, "uid": uid, "number": number})

    key, key_id = octets(16), rng.randrange(2**28)
    salt = int.from_bytes(kdf(key, 0x50, uri.encode())[-4:], "big") & 0x0FFFFFFF
    found = ask("kdf.guk_id", gmk=key.hex(), gmk_id=f"{key_id:08x}", uri=uri)
    same("guk_id", found["guk_id"], f"{key_id ^ salt:08x}")
    name = (0x20000000 | key_id).to_bytes(4, "big")
    for use, fc in (("confidentiality", 0x51), ("integrity", 0x52)):
        for encoding, p1 in (("binary", name), ("base64", base64.b64encode(name))):
            found = ask("kdf.xml", key=key.hex(), key_id=name.hex(), uri=uri, use=use, key_id_encoding=encoding)
            same("kdf.xml", found["key"], kdf(key, fc, uri.encode(), p1)[-16:].hex())
    found = ask("kdf.dpck", dppk=key.hex(), dppk_id=name.hex())
    same("kdf.dpck", found["dpck"], kdf(key, 0x53, name)[-16:].hex())

    rand, cs_id = octets(rng.choice((16, 16, 32))), rng.randrange(10)
    def prf(constant, count):
        label = constant + bytes([cs_id]) + name + rand
        a1 = hmac.new(key, label, hashlib.sha256).digest()
        return hmac.new(key, a1 + label, hashlib.sha256).digest()[:count].hex()
    found = ask("kdf.srtp", key=key.hex(), cs_id=cs_id, csb_id=name.hex(), rand=rand.hex())
    same("master_key", found["master_key"], prf(bytes.fromhex("2ad01c64"), 16))
    same("master_salt", found["master_salt"], prf(bytes.fromhex("39a2c14b"), 12))

# --- key wrap --------------------------------------------------------------------------------------
for _ in range(60):
    kek, data, odd = octets(rng.choice((16, 24, 32))), octets(8 * rng.randrange(2, 40)), octets(rng.randrange(1, 300))
    wrapped = keywrap.aes_key_wrap(kek, data)
    same("wrap.kw", ask("wrap.kw", kek=kek.hex(), data=data.hex())["data"], wrapped.hex())
    same("unwrap.kw", ask("unwrap.kw", kek=kek.hex(), data=wrapped.hex())["data"], data.hex())
    padded = keywrap.aes_key_wrap_with_padding(kek, odd)
    same("wrap.kwp", ask("wrap.kwp", kek=kek.hex(), data=odd.hex())["data"], padded.hex())
    same("unwrap.kwp", ask("unwrap.kwp", kek=kek.hex(), data=padded.hex())["data"], odd.hex())
    same("not kwp", ask("unwrap.kwp", kek=kek.hex(), data=wrapped.hex())["error"]["kind"], "integrity")

# --- encrypted XML -----------------------------------------------------------------------------------
for _ in range(10):
    key, uri = octets(16), "sip:alice@example.org"
    xml = f"<a><b>{rng.randrange(10**9)} &amp; more</b></a>"
    sealed = ask("xml.protect", key=key.hex(), key_id="20000001", uri=uri, xml=xml, elements=["a"])["xml"]
    value = base64.b64decode(sealed.split("CipherValue>")[1].split("<")[0])
    name = bytes.fromhex("20000001")
    plain = AESGCM(kdf(key, 0x51, uri.encode(), name)[-16:]).decrypt(value[:12], value[12:], None)
    same("xml.protect", plain.decode(), xml[3:-4])

# --- ECCSI: P-256 with big integers (RFC 6507) -------------------------------------------------------
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
Q = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
     0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)

def add(p, a, left, right):
    """Points of y^2 = x^3 + ax + b over F_p; None is infinity."""
    if left is None or right is None:
        return left or right
    (x1, y1), (x2, y2) = left, right
    if x1 == x2:
        if (y1 + y2) % p == 0:
            return None
        slope = (3 * x1 * x1 + a) * pow(2 * y1, -1, p)
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, p)
    x = (slope * slope - x1 - x2) % p
    return x, (slope * (x1 - x) - y1) % p

def times(p, a, scalar, point):
    result = None
    for bit in bin(scalar)[2:]:
        result = add(p, a, result, result)
        if bit == "1":
            result = add(p, a, result, point)
    return result

def encoded(point, size):
    return b"\x04" + point[0].to_bytes(size, "big") + point[1].to_bytes(size, "big")

def decoded(data):
    size = len(data) // 2
    return int.from_bytes(data[1:1 + size], "big"), int.from_bytes(data[1 + size:], "big")

def digest(*parts):
    return hashlib.sha256(b"".join(parts)).digest()

for _ in range(8):
    ksak, identifier, message = rng.randrange(1, Q), octets(32), octets(rng.randrange(0, 200))
    kpak = encoded(times(P, -3, ksak, G), 32)
    same("eccsi.public", ask("eccsi.public", ksak=f"{ksak:064x}")["kpak"], kpak.hex())
    pair = ask("eccsi.keypair", ksak=f"{ksak:064x}", id=identifier.hex())
    ssk, pvt = int(pair["ssk"], 16), bytes.fromhex(pair["pvt"])
    hs = digest(encoded(G, 32), kpak, identifier, pvt)
    right = add(P, -3, times(P, -3, int.from_bytes(hs, "big") % Q, decoded(pvt)), decoded(kpak))
    same("SSK and PVT", times(P, -3, ssk, G), right)
    own = {"kpak": kpak.hex(), "id": identifier.hex(), "message": message.hex()}
    signature = bytes.fromhex(ask("eccsi.sign", **own, ssk=pair["ssk"], pvt=pair["pvt"])["signature"])
    r, s = (int.from_bytes(signature[at:at + 32], "big") for at in (0, 32))
    he = int.from_bytes(digest(hs, signature[:32], message), "big")
    j = times(P, -3, s, add(P, -3, times(P, -3, he % Q, G), times(P, -3, r % Q, right)))
    same("a signature of mcbox", j[0], r)
    nonce = rng.randrange(1, Q)
    r = times(P, -3, nonce, G)[0]
    he = int.from_bytes(digest(hs, r.to_bytes(32, "big"), message), "big")
    s = pow(he + r * ssk, -1, Q) * nonce % Q
    for value in (s, Q - s):
        theirs = r.to_bytes(32, "big") + value.to_bytes(32, "big") + pvt
        same("a signature of ours", ask("eccsi.verify", **own, signature=theirs.hex()), {"ok": True})
    theirs = r.to_bytes(32, "big") + (s ^ 1).to_bytes(32, "big") + pvt
    same("a wrong one", ask("eccsi.verify", **own, signature=theirs.hex())["error"]["kind"], "signature")

# --- SAKKE: the sender's side with big integers (RFC 6508 6.2.1) --------------------------------------
vectors = json.load(open(sys.argv[2]))
group = vectors["parameter_set_1"]
p, q = int(group["p"], 16), int(group["q"], 16)
base, g = (int(group["Px"], 16), int(group["Py"], 16)), int(group["g"], 16)

def to_range(data, limit):
    a, h, out = hashlib.sha256(data).digest(), bytes(32), b""
    for _ in range((limit.bit_length() + 255) // 256):
        h = hashlib.sha256(h).digest()
        out += hashlib.sha256(h + a).digest()
    return int.from_bytes(out, "big") % limit

def power(exponent):
    """g^r in PF_p, as b / a of (1 + ig)^r."""
    a, b = 1, 0
    for bit in bin(exponent)[2:]:
        a, b = (a * a - b * b) % p, 2 * a * b % p
        if bit == "1":
            a, b = (a - b * g) % p, (a * g + b) % p
    return b * pow(a, -1, p) % p

for _ in range(3):
    z, identifier, ssv = rng.randrange(2, q), octets(32), octets(16)
    public = times(p, -3, z, base)
    same("sakke.public", ask("sakke.public", z=f"{z:0256x}")["public"], encoded(public, 128).hex())
    b = int.from_bytes(identifier, "big")
    rsk = encoded(times(p, -3, pow(b + z, -1, q), base), 128).hex()
    same("sakke.rsk", ask("sakke.rsk", z=f"{z:0256x}", id=identifier.hex())["rsk"], rsk)
    r = to_range(ssv + identifier, q)
    point = times(p, -3, r, add(p, -3, times(p, -3, b, base), public))
    mask = to_range(power(r).to_bytes(128, "big"), 2**128)
    sed = encoded(point, 128) + (int.from_bytes(ssv, "big") ^ mask).to_bytes(16, "big")
    own = {"public": encoded(public, 128).hex(), "id": identifier.hex()}
    same("sakke.encapsulate", ask("sakke.encapsulate", **own, ssv=ssv.hex())["sed"], sed.hex())
    same("sakke.decapsulate", ask("sakke.decapsulate", **own, rsk=rsk, sed=sed.hex())["ssv"], ssv.hex())

box.stdin.close()
box.wait()
print(f"{checks} checks")
