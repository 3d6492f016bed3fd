#!/usr/bin/env python3
"""mpfp-1 a second time, with Python's standard library alone.

Written from the package comment of collect/fingerprint and from nothing else,
to show that the comment is enough: the numbers of sections are those of it. For
each file named on the command line it prints one line of JSON with the file's
tiers, its fields and its leaves, as vectors.json has them. It is slow, holds
the message in memory, and knows those charsets that Python and the norm read
alike. The limits of parts and of fields that are kept, and the details beside
the leaves (§13: BodySeq, Extra, DKIM), are left out.

    python3 mpfp1.py plain.eml embedded.eml
"""

import base64
import hashlib
import html
import json
import re
import sys
import unicodedata
from datetime import datetime, timedelta

WSP = b" \t"
FIELD = re.compile(rb"([\x21-\x39\x3b-\x7e]{1,998})[ \t]*:", re.S)
ENVELOPE = re.compile(rb">?From ")
QUOTED_FROM = re.compile(rb">{1,64}From ")
PIECE = 65536
LIMIT = 1048576  # of a text leaf's decoded octets, and of a header
HEADER = {
    "date", "from", "to", "cc", "subject", "message-id", "sender", "reply-to", "bcc", "in-reply-to", "references",
    "content-type", "content-transfer-encoding", "content-disposition", "dkim-signature",
}
BOOKKEEPING = {
    "status", "x-status", "x-keywords", "x-uid", "x-uidl", "x-imap", "x-imapbase", "content-length", "lines", "x-tuid",
    "x-offlineimap", "x-gmail-labels", "x-delivery-id", "x-message-flag",
}


# 1. Notation

def num(n):
    return n.to_bytes(8, "big")


def string(s):
    return num(len(s)) + s


def strings(values):
    return num(len(values)) + b"".join(string(v) for v in values)


def H(data):
    return hashlib.sha256(data).digest()


def hashed(name, data):
    return H(string(b"mpfp-1") + string(name) + data)


def short(digest):
    return digest[:16].hex()


# 3. Canonical lines

class Line:
    def __init__(self, raw, number):
        self.size, self.number = len(raw), number
        body = raw[:-1].rstrip(b"\r") if raw.endswith(b"\n") else raw.rstrip(b"\r")
        self.quoted = body.replace(b"\0", b"\x80")  # with its quoting of From
        self.text = unquote_from(self.quoted)


def unquote_from(text):
    m = QUOTED_FROM.match(text)
    return text[m.end() - 5:] if m else text


def lines_of(raw):
    parts = raw.split(b"\n")
    out = [p + b"\n" for p in parts[:-1]]
    if parts[-1]:
        out.append(parts[-1])
    return [Line(p, i) for i, p in enumerate(out)]


def strip_blank(lines):
    lines = list(lines)
    while lines and not lines[-1].text:
        lines.pop()
    return lines


# 4. Header

class Header:
    """Takes lines up to the blank one, or none of them."""

    def __init__(self, lines, top):
        self.fields, self.junk, self.listed = [], [], []  # (name, value), value, both in order
        self.over, self.present = b"", False
        i = 0
        while top and i < len(lines) and ENVELOPE.match(lines[i].quoted) and not FIELD.match(lines[i].quoted):
            i += 1
        self.envelope = i
        self.blank = False
        if i < len(lines) and lines[i].text and not FIELD.match(lines[i].quoted):
            self.end = i  # no header at all
            return
        current = None
        while i < len(lines):
            text = lines[i].quoted
            if not text:
                self.blank = True
                i += 1
                break
            m = FIELD.match(text)
            if current is not None and text[:1] in (b" ", b"\t"):
                current[1].append(text)
            elif m:
                current = (m.group(1).lower().decode("ascii"), [text[m.end():]])
                self.listed.append(current)
            else:
                current = (None, [text])
                self.listed.append(current)
            i += 1
        self.end = i
        self.listed = [(n, fold(b" ".join(v) if n is None else b"".join(v))) for n, v in self.listed]
        self.present = bool(self.listed)
        budget, spent = (LIMIT, 65536)[not top], False
        for name, value in self.listed:
            if name is None:
                self.junk.append(value)
            elif name in HEADER and (top or name.startswith("content-")):
                if spent or len(value) + 32 > budget:
                    spent = True
                    self.over += name.encode() + b":" + value + b"\n"
                    continue
                budget -= len(value) + 32
                self.fields.append((name, value))

    def all(self, name):
        return [v for n, v in self.fields if n == name]

    def first(self, name):
        return next(iter(self.all(name)), b"")


def fold(value):
    return re.sub(rb"[ \t]+", b" ", value).strip(b" ")


# 5. Tier T1

def t1(header, body):
    out = string(b"mpfp-1") + string(b"T1")
    for name, value in header.listed:
        if name is None:
            out += b":" + value + b"\n"
        elif name not in BOOKKEEPING and not name.startswith(("x-mozilla-", "x-gm-")):
            out += name.encode() + b":" + value + b"\n"
    return H(out + b"\n" + b"".join(l.text + b"\n" for l in strip_blank(body)))


# 9. Characters

ALIASES = {"": "utf-8", "us-ascii": "utf-8", "ascii": "utf-8", "utf8": "utf-8", "unknown-8bit": "utf-8", "x-unknown": "utf-8",
           "default_charset": "utf-8", "latin1": "iso-8859-1", "cp1252": "windows-1252"}


def windows1252(octets):
    return "".join(bytes([b]).decode("cp1252") if b not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else chr(b) for b in octets)


def utf7(octets):
    out, i = "", 0
    while i < len(octets):
        b = octets[i]
        if b >= 0x80:
            return None
        if b != 0x2B:
            out += chr(b)
            i += 1
            continue
        m = re.compile(rb"[A-Za-z0-9+/]*").match(octets, i + 1)
        run, i = m.group(), m.end()
        dash = octets[i:i + 1] == b"-"
        if not run:
            if not dash:
                return None
            out += "+"
        else:
            bits = len(run) * 6 % 16
            raw = base64.b64decode(run + b"A" * (-len(run) % 4))
            value = int.from_bytes(raw, "big") >> (len(raw) * 8 - len(run) * 6)
            if bits >= 6 or value & ((1 << bits) - 1):
                return None
            try:
                out += (value >> bits).to_bytes((len(run) * 6 - bits) // 8, "big").decode("utf-16-be")
            except UnicodeDecodeError:
                return None
        i += dash
    return out


def characters(octets, charset=""):
    charset = ALIASES.get(charset.strip().lower(), charset.strip().lower())
    if charset == "iso-8859-1":
        return octets.decode("iso-8859-1")
    if charset == "windows-1252":
        return windows1252(octets)
    if charset == "utf-7":
        text = utf7(octets)
        if text is not None:
            return text
    elif charset != "utf-8":
        try:
            text = octets.decode(charset)
            if "\ufffd" not in text:
                return text
        except (LookupError, UnicodeDecodeError):
            pass
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return windows1252(octets)


# 6.2 Text of a header value

WORD = re.compile(rb'=\?([^ \t<>@,;"=?]{1,80})\?([BbQq])\?(.*?)\?=', re.S)


def text_of(value):
    pieces, at = [], 0  # (charset or None, octets)
    while True:
        m = WORD.search(value, at)
        if m and len(m.group()) > 4096:
            m = None
        between = value[at:m.start()] if m else value[at:]
        after_word = bool(pieces) and pieces[-1][0] is not None
        if between and not (after_word and m and not between.strip(b" \t\r\n")):
            pieces.append((None, between))
        if not m:
            break
        charset = m.group(1).decode("latin-1").split("*")[0].lower()
        octets = base64_of([m.group(3)]) if m.group(2) in b"Bb" else q_of(m.group(3))
        if pieces and pieces[-1][0] == charset:
            pieces[-1] = (charset, pieces[-1][1] + octets)
        else:
            pieces.append((charset, octets))
        at = m.end()
    text = "".join(characters(o, c or "") for c, o in pieces)
    return squeeze(unicodedata.normalize("NFC", text))


def squeeze(text):
    return re.sub("[ \t\n\v\f\r]+", " ", text).strip(" ")


def q_of(octets):
    octets = octets.replace(b"_", b" ")
    return re.sub(rb"=([0-9A-Fa-f]{2})", lambda m: bytes([int(m.group(1), 16)]), octets)


# 6.1 Addresses

def lex(value):
    """Splits a value into (kind, text): comment, quoted, literal, char."""
    out, i, plain = [], 0, False
    while i < len(value):
        c = value[i:i + 1]
        end = None
        if not plain and c == b'"':
            end = closing_quote(value, i)
        elif not plain and c == b"(":
            end = closing_comment(value, i)
        elif c == b"[":
            j = value.find(b"]", i, i + 256)
            end = j + 1 if j >= 0 else None
            if end is None:
                out.append(("char", c))
                i += 1
                continue
        if end is None:
            if c in (b'"', b"("):
                plain = True
            out.append(("char", c))
            i += 1
        else:
            kind = {b'"': "quoted", b"(": "comment", b"[": "literal"}[c]
            out.append((kind, value[i:end]))
            i = end
    return out


def closing_quote(value, i):
    i += 1
    while i < len(value):
        if value[i:i + 1] == b"\\":
            i += 2
        elif value[i:i + 1] == b'"':
            return i + 1
        else:
            i += 1
    return None


def closing_comment(value, i):
    depth = 0
    while i < len(value):
        c = value[i:i + 1]
        if c == b"\\":
            i += 2
            continue
        depth += (c == b"(") - (c == b")")
        i += 1
        if depth == 0:
            return i
    return None


def split_addresses(value):
    """Yields the tokens of each address."""
    current, tokens, inside = [], lex(value), False
    for i, token in enumerate(tokens):
        if inside or token == ("char", b"<") and ("char", b">") in tokens[i:]:
            inside = token != ("char", b">")
            current.append(token)
        elif token[0] == "char" and token[1] in b",;":
            yield current
            current = []
        elif token == ("char", b":") and not any(t[0] == "char" and t[1] in b"@<" for t in current):
            current = []
        else:
            current.append(token)
    yield current


def addresses(value):
    """Lists (canonical address, name) of a value."""
    out = []
    for tokens in split_addresses(value):
        inside, outside, state = None, [], 0
        for i, t in enumerate(tokens):
            if state == 0 and t == ("char", b"<") and any(u == ("char", b">") for u in tokens[i + 1:]):
                state, piece = 1, []
            elif state == 1 and t == ("char", b">"):
                state = 0
                if inside is None:
                    inside = piece
            elif state == 1:
                piece.append(t)
            else:
                outside.append(t)
        if inside is None:
            address = canonical([t for t in tokens if t[0] != "comment"])
            comment = next((t[1] for t in tokens if t[0] == "comment"), b"")
            name = text_of(comment[1:-1])
        else:
            address = canonical([t for t in inside if t[0] != "comment"])
            name = text_of(b"".join(unescape(t[1][1:-1]) if t[0] == "quoted" else t[1] for t in outside if t[0] != "comment"))
        if address or name:
            out.append((address, name))
    return out


def unescape(quoted):
    return re.sub(rb"\\(.)", rb"\1", quoted, flags=re.S)


DOT_ATOM = re.compile(rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]+)*\Z")


def canonical(tokens):
    raw = fold_ws(b"".join(t[1] for t in tokens))
    if raw.startswith(b"@") and b":" in raw:
        raw = raw[raw.index(b":") + 1:].strip(b" ")
    at = raw.rfind(b"@")
    if at < 0:
        return text_of(raw).lower()
    local, domain = tight(raw[:at]), tight(raw[at + 1:])
    if len(local) > 1 and local[:1] == b'"' and closing_quote(local, 0) == len(local) and DOT_ATOM.match(unescape(local[1:-1])):
        local = unescape(local[1:-1])
    local, domain = (unicodedata.normalize("NFC", characters(h)).lower() for h in (local, domain))
    domain = domain[:-1] if domain.endswith(".") else domain
    if not domain.isascii():
        domain = ".".join(l if l.isascii() else "xn--" + l.encode("punycode").decode("ascii") for l in domain.split("."))
    return local + "@" + domain


def fold_ws(b):
    return re.sub(rb"[ \t\n\v\f\r]+", b" ", b).strip(b" ")


def tight(half):
    half = half.strip(b" ")
    return half if half.startswith(b'"') else re.sub(rb" ?\. ?", b".", half)


# 6. Head

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
ZONES = {"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7}


def date_words(value):
    bare = b"".join(b" " if k == "comment" else t for k, t in lex(value)).decode("latin-1")
    words, current, colon = [], "", False
    for c in bare:
        if c in " \t\n\v\f\r," or c == "-" and current and len(words) < 4 and not colon:
            if current:
                words.append(current)
            current = ""
        elif c in "+-" and colon and current and not current.startswith(("+", "-")):
            words.append(current)
            current = c
        else:
            colon = colon or c == ":"
            current += c
    if current:
        words.append(current)
    return words


def date_of(value):
    words = date_words(value)
    if len(words) > 8:
        return None
    if words and words[0][:3].lower() in DAYS:
        words = words[1:]
    if len(words) < 4:
        return None
    if words[0][:3].lower() in MONTHS:  # month before day, the year after the time
        words = [words[1], words[0], words[3], words[2]] + words[4:]
    day, month, year, clock = words[:4]
    zone = words[4] if len(words) > 4 else ""
    if not re.fullmatch(r"\d{1,2}", day) or month[:3].lower() not in MONTHS or not re.fullmatch(r"\d{2,4}", year):
        return None
    y = int(year)
    y += {2: 2000 if y < 50 else 1900, 3: 1900, 4: 0}[len(year)]
    m = re.fullmatch(r"(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?", clock)
    if not m or int(m[1]) > 23 or int(m[2]) > 59 or int(m[3] or 0) > 60:
        return None
    offset = timedelta()
    z = re.fullmatch(r"([+-])(\d\d):?(\d\d)", zone)
    if z:
        offset = timedelta(hours=int(z[2]), minutes=int(z[3])) * (-1 if z[1] == "-" else 1)
    elif zone.lower() in ZONES:
        offset = timedelta(hours=ZONES[zone.lower()])
    elif zone[:1].isdigit() or zone[:1] in ("+", "-") and zone:
        return None
    try:
        t = datetime(y, MONTHS.index(month[:3].lower()) + 1, int(day), int(m[1]), int(m[2]))
        t += timedelta(seconds=int(m[3] or 0)) - offset
    except (ValueError, OverflowError):
        return None
    return t.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


class Head:
    def __init__(self, header):
        date = header.all("date")
        read = date_of(date[0]) if date else ""
        self.date = read.encode() if read is not None else b"?" + date[0]
        self.who = {n: sorted(a.encode() for v in header.all(n) for a, _ in addresses(v) if a) for n in ("from", "to", "cc", "sender", "reply-to", "bcc")}
        self.names = sorted(f"{n} <{a}>".encode() for f in ("from", "to", "cc") for v in header.all(f) for a, n in addresses(v) if n)
        self.subject = text_of(header.first("subject")).encode()
        over, junk = header.over, b"".join(j + b"\n" for j in header.junk)
        self.over, self.junk = H(over) if over else b"", H(junk) if header.junk else b""
        self.hash = hashed(b"head", string(self.date) + b"".join(strings(self.who[n]) for n in ("from", "to", "cc")) +
                           string(self.subject) + string(self.over) + string(self.junk))
        self.id = b""
        for value in header.all("message-id"):
            m = re.search(rb"<[^>]*>", value)
            self.id = re.sub(rb"[ \t\n\v\f\r]+", b"", m.group() if m else value)
            if self.id:
                break
        refs = {n: references(header.all(n)) for n in ("in-reply-to", "references")}
        unparsed = (self.over or bytes(32)).hex() + (self.junk or bytes(32)).hex() if self.over or self.junk else ""
        self.fields = [("date", self.date), ("from", b", ".join(self.who["from"])), ("to", b", ".join(self.who["to"])), ("cc", b", ".join(self.who["cc"])),
                       ("subject", self.subject)]
        self.fields += [(n, b", ".join(self.who[n])) for n in ("sender", "reply-to", "bcc")]
        self.fields += [("in-reply-to", refs["in-reply-to"]), ("references", refs["references"]), ("names", b", ".join(self.names)), ("unparsed", unparsed.encode())]


def references(values):
    ids = [re.sub(rb"[ \t\n\v\f\r]+", b"", m) for v in values for m in re.findall(rb"<[^>]*>", v)]
    return b" ".join(ids) if ids else fold_ws(b" ".join(values))


# 7. Structure

def uncomment(value):
    return b"".join(t for k, t in lex(value) if k != "comment")


def parameters(value):
    out = {}
    rest = uncomment(value)
    at = re.match(rb"[ \t]*[^; \t]*", rest).end()
    while 0 <= at < len(rest) and len(out) < 256:
        m = re.compile(rb'[; \t]*([^=;]*?)[ \t]*=[ \t]*').match(rest, at)
        if not m:
            at = rest.find(b";", at + 1)
            continue
        name, at = m.group(1).strip(b" \t").lower().decode("latin-1"), m.end()
        end = closing_quote(rest, at) if rest[at:at + 1] == b'"' else None
        if end:
            v, at = unescape(rest[at + 1:end - 1]), rest.find(b";", end)
        else:
            stop = rest.find(b";", at)
            v = rest[at:stop if stop >= 0 else len(rest)].strip(b" \t")
            at = stop
        out.setdefault(name, v)
    return out


def parameter(value, name):
    params = parameters(value)
    if name in params:
        return params[name], False
    joined, n, extended = b"", 0, False
    if name + "*" in params:
        return extended_value(params[name + "*"]), True
    while True:
        plain, coded = params.get(f"{name}*{n}"), params.get(f"{name}*{n}*")
        if plain is None and coded is None:
            break
        extended = extended or coded is not None and n == 0
        joined += plain if coded is None else coded
        n += 1
    return (extended_value(joined), True) if extended else (joined, False)


def extended_value(value):
    charset, _, rest = value.partition(b"'")
    _, _, text = rest.partition(b"'")
    octets = re.sub(rb"%([0-9A-Fa-f]{2})", lambda m: bytes([int(m.group(1), 16)]), text)
    return characters(octets, charset.decode("latin-1")).encode()


def media_type(header, digest):
    value = re.split(rb"[; \t\n\v\f\r]", uncomment(header.first("content-type")).strip(b" \t"), maxsplit=1)[0]
    name = value.decode("latin-1").lower()
    if not re.fullmatch("[^/]+/.+", name):
        return "message/rfc822" if digest else "text/plain"
    return name


def encoding_of(header):
    value = uncomment(header.first("content-transfer-encoding")).strip(b" \t").lower()
    return value.decode("latin-1") if value in (b"base64", b"quoted-printable") else ""


# 8. Decoding

def base64_of(lines):
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    out, group = b"", b""

    def close(g):
        return base64.b64decode(g + b"A" * (4 - len(g)))[:len(g) - 1] if len(g) > 1 else b""

    for c in b"".join(lines):
        if c == 0x3D:
            out, group = out + close(group), b""
        elif c in alphabet:
            group += bytes([c])
            if len(group) == 4:
                out, group = out + base64.b64decode(group), b""
    return out + close(group)


def qp_of(lines):
    out = b""
    for i, line in enumerate(lines):
        bare = line.rstrip(WSP)
        if len(line) - len(bare) > 1000:
            bare = line
        soft = bare.endswith(b"=")
        bare = bare[:-1] if soft else bare
        out += re.sub(rb"=([0-9A-Fa-f]{2})", lambda m: bytes([int(m.group(1), 16)]), bare)
        if not soft and i < len(lines) - 1:
            out += b"\r\n"
    return out


def decode(lines, encoding):
    texts = [l.text for l in lines]
    if encoding == "base64":
        return base64_of(texts)
    if encoding == "quoted-printable":
        return qp_of(texts)
    return b"\r\n".join(texts)


# 10. Canonical content

def text_like(octets):
    return not re.search(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]", octets)


def data_content(octets, anyway=False):
    if not anyway and not text_like(octets):
        return octets
    return re.sub(rb"\r+\Z", b"", re.sub(rb"\r*\n", b"\n", octets)).rstrip(b"\n") if not re.search(rb"\r+\Z", octets) else \
        re.sub(rb"\r*\n", b"\n", re.sub(rb"\r+\Z", b"\n", octets)).rstrip(b"\n")


def text_content(text):
    text = text[1:] if text.startswith("\ufeff") else text
    text = unicodedata.normalize("NFC", text)
    lines = [re.sub("^>{1,64}(?=From )", "", l).rstrip(" \t\r") for l in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join(lines).encode()


# 11. Visible text

def visible(content):
    text, out, tags, i = content.decode(), [], [], 0
    lower = text.lower()

    def show(s):
        s = "".join(c for c in html.unescape(s) if not c.isspace() or c in "\x1c\x1d\x1e\x1f")
        if s:
            out.append(s)
            tags.clear()

    start = 0
    while i < len(text):
        if text.startswith("<!--", i):
            end = text.find("-->", i + 2)
            if end >= 0:
                show(text[start:i])
                i = start = end + 3
                continue
        m = re.compile(r"<(?=[A-Za-z/!?])([^>]*)>").match(text, i)
        if not m:
            i += 1
            continue
        show(text[start:i])
        name = re.match(r"/?[A-Za-z0-9:-]*", m.group(1)).group().lower()
        i = start = m.end()
        if name in ("script", "style", "head"):
            e = re.compile(rf"</{name}(?![A-Za-z0-9:-])[^>]*>").search(lower, i)
            if e:
                i = start = e.end()
            continue
        if name.strip("/") and name.strip("/") != "meta":
            tags.append(name)
    show(text[start:])
    names = b""
    for t in tags:
        if len(names) >= 4096:
            break
        names += t.encode() + b" "
    return "".join(out).encode() + b"\0" + names


# 7 and 12: entities

CASTAGNOLI = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ 0x82F63B78 if n & 1 else n >> 1
    CASTAGNOLI.append(n)


def crc32c(data):
    c = 0xFFFFFFFF
    for b in data:
        c = CASTAGNOLI[(c ^ b) & 255] ^ c >> 8
    return c ^ 0xFFFFFFFF


class Lines:
    """Hands out lines up to the next delimiter of a multipart that is open."""

    def __init__(self, lines):
        lines = list(lines)
        self.lines, self.at, self.open = lines, 0, []

    def delimiter(self, line):
        """Tells whose delimiter a line is, the innermost first: (multipart, closing)."""
        if line.size > PIECE:
            return None
        text = re.sub(rb"[ \t]+", b" ", line.quoted)
        for m in reversed(self.open):
            found = m.match(text)
            if found:
                return m, bool(found.group(1))
        return None

    def ahead(self):
        end = self.at
        while end < len(self.lines) and not self.delimiter(self.lines[end]):
            end += 1
        return self.lines[self.at:end]

    def take(self):
        out = self.ahead()
        self.at += len(out)
        return out if self.at < len(self.lines) else strip_blank(out)


class Message:
    """A message, or one embedded in another."""

    def __init__(self, lines, depth, root=None):
        self.root = root or self
        if root is None:
            self.parts, self.leaves = 0, []
        self.header = Header(lines.ahead(), True)
        lines.at += self.header.end
        self.head = Head(self.header)
        self.hashes, self.hashesv, self.total = [], [], 0
        self.body = lines.lines[lines.at:]
        entity(self, self.header, lines, depth, False)
        self.set = hashed(b"bodyset", num(len(self.hashes)) + b"".join(sorted(self.hashes)))
        self.setv = hashed(b"bodyset", num(len(self.hashesv)) + b"".join(sorted(self.hashesv)))

    def add(self, plain, seen=None):
        self.hashes.append(plain)
        self.hashesv.append(seen or plain)


def entity(message, header, lines, depth, digest):
    kind = media_type(header, digest)
    encoding = encoding_of(header)
    if kind.startswith("multipart/"):
        boundary = re.sub(rb"[ \t]+", b" ", parameter(header.first("content-type"), "boundary")[0].rstrip(WSP))
        if 1 <= len(boundary) <= 998 and depth < 64:
            multipart(message, header, kind, boundary, lines, depth)
            return
    elif kind in ("message/rfc822", "message/global", "message/news"):
        embedded(message, header, kind, encoding, lines, depth)
        return
    leaf(message, header, kind, lines.take(), encoding)


def embedded(message, header, kind, encoding, lines, depth):
    if encoding == "base64":
        ahead = lines.ahead()
        blank = next((i for i, l in enumerate(ahead) if l.text), 0)
        if ahead and (FIELD.match(ahead[blank].quoted) or ENVELOPE.match(ahead[blank].quoted)):
            encoding = ""
            lines.at += blank
    if depth >= 64:
        leaf(message, header, kind, lines.take(), encoding)
        return
    inner = lines if not encoding else Lines(lines_of(decode(lines.take(), encoding)))
    root, at = message.root, len(message.root.leaves)
    root.parts += 1
    info = {"type": kind}
    root.leaves.append(info)
    m = Message(inner, depth + 1, root)
    info["size"] = sum(l.get("canonical", 0) for l in root.leaves[at + 1:])
    info["octets"] = info["content"] = short(m.head.hash)
    message.total += m.total
    if m.header.listed or m.hashes:
        message.add(*(hashed(b"message", string(m.head.id) + string(m.head.hash) + string(s)) for s in (m.set, m.setv)))


def multipart(message, header, kind, boundary, lines, depth):
    own = re.compile(rb"--" + re.escape(boundary) + rb"(--)?[ \t]*\Z")
    level = len(lines.open)
    lines.open.append(own)
    preamble = lines.take()
    first = True
    while lines.at < len(lines.lines):
        found, closing = lines.delimiter(lines.lines[lines.at])
        if found is not own:
            break  # of one further out: it ends this one
        first = False
        lines.at += 1
        if closing:
            del lines.open[level:]
            lines.take()  # the epilogue
            break
        message.root.parts += 1
        h = Header(lines.ahead(), False)
        lines.at += h.end
        entity(message, h, lines, depth + 1, kind == "multipart/digest")
        if h.junk:
            message.add(hashed(b"leaf", string(b"junk") + string(H(b"".join(j + b"\n" for j in h.junk)))))
    del lines.open[level:]
    if first:  # its boundary never came
        leaf(message, header, kind, preamble, "", data=True)


def leaf(message, header, kind, lines, encoding, data=False):
    decoded = decode(lines, encoding)
    form = "data" if data or not kind.startswith("text/") else "html" if kind == "text/html" else "text"
    charset = parameter(header.first("content-type"), "charset")[0].decode("latin-1")
    info = {"type": kind[:64]}
    name, coded = parameter(header.first("content-disposition"), "filename")
    if not name:
        name, coded = parameter(header.first("content-type"), "name")
    name = unicodedata.normalize("NFC", name.decode()) if coded else text_of(name)
    if name:
        info["file_name"] = cut(name, 96)
    seen = None
    if form == "data":
        content = data_content(decoded)
    elif len(decoded) > LIMIT:
        content = data_content(decoded, True)
    else:
        content = text_content(characters(decoded, charset))
        if form == "html":
            seen = visible(content)
    info["size"], info["octets"], info["canonical"] = len(decoded), short(H(decoded)), len(content)
    if content:
        info["content"] = short(H(content))
    if seen is not None and content:
        info["visible"] = short(H(seen))
    if form != "data":
        info.update(marks(decoded, characters(decoded, charset) if len(decoded) <= LIMIT else None))
    prefixes, n = "", 16
    while n <= len(decoded):
        prefixes += "%08x" % crc32c(decoded[:n])
        n *= 4
    if prefixes:
        info["prefixes"] = prefixes
    message.root.leaves.append(info)
    message.total += len(content)
    if content:
        plain = hashed(b"leaf", string(form.encode()) + string(H(content)))
        message.add(plain, hashed(b"leaf", string(b"visible") + string(H(seen))) if seen is not None else None)


def cut(text, octets):
    return text.encode()[:octets].decode(errors="ignore")


def marks(decoded, text):
    out = {}
    if text is not None and text.startswith("\ufeff"):
        text = text[1:]
    above = sum(c > "\x7f" for c in text) if text is not None else sum(b > 0x7F for b in decoded)
    squeezed = crc32c(re.sub(rb"[ \t\r\n]", b"", decoded))
    letters = re.sub(rb"[^A-Za-z0-9]", b"", text.encode("utf-8", "surrogatepass") if text is not None else decoded)
    if above:
        out["non_ascii"] = above
    if squeezed:
        out["squeezed"] = "%08x" % squeezed
    if crc32c(letters):
        out["letters"] = "%08x" % crc32c(letters)
    return out


def fingerprint(raw):
    m = Message(Lines(lines_of(raw)), 0)
    ident = m.head.id
    tiers = {"T0": H(raw), "T1": t1(m.header, m.body)}
    tiers["T2"] = hashed(b"T2", string(ident) + string(m.head.hash) + string(m.set))
    tiers["T2v"] = hashed(b"T2v", string(ident) + string(m.head.hash) + string(m.setv))
    tiers["T2c"] = hashed(b"T2c", string(m.head.hash) + string(m.set))
    if ident:
        tiers["T3"] = hashed(b"T3", string(ident))
        bare = ident.strip(b"<>")
        tiers["T3b"] = hashed(b"T3b", string(bare[:bare.rindex(b"@")] if b"@" in bare else bare))
    if m.total >= 64:
        tiers["T4"] = hashed(b"T4", string(m.set))
    fields = [{"name": n, "hash": short(hashed(b"field", string(n.encode()) + string(v)))} for n, v in m.head.fields if v]
    return {"octets": len(raw), "tiers": {t: h.hex() for t, h in tiers.items()}, "message_id": ident.decode("latin-1"), "mih": hashlib.md5(ident).hexdigest() if ident else "",
            "fields": fields,
            "leaves": [{k: v for k, v in l.items() if k != "canonical"} for l in m.leaves[:64]]}


def main():
    sys.setrecursionlimit(10000)
    for name in sys.argv[1:] or map(str.rstrip, sys.stdin):  # or one name a line
        with open(name, "rb") as f:
            print(json.dumps(fingerprint(f.read())))


if __name__ == "__main__":
    main()
