"""Writes sessions of programs that cannot write one here, by what their sources say of the format:

- gotd: `session.Data` and `jsonData` of `session/session.go`;
- WTelegramClient: `Session` and `SessionStore` of `src/Session.cs`;
- Telegram Web A and K: `src/util/sessions.ts` of Web A, and what `localStorage` looks like in both;
- TDLib: `Binlog.cpp`, `BinlogEvent.h`, `BinlogKeyValue.h` of `tddb`, and `AuthKey.h` of `td/mtproto`;
- Telegram for Android: `Datacenter.cpp` and `ConnectionsManager.cpp` of `tgnet`.

    pip install --target t cryptography && PYTHONPATH=t python write_by_description.py fixtures
"""
import base64
import hashlib
import hmac
import json
import os
import struct
import sys
import zlib

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

KEY = bytes((place * 31 + 7) & 0xFF for place in range(256))
ID = hashlib.sha1(KEY).digest()[12:20]
USER = 7000000001
HOST = "149.154.167.50"


def save(name, about, entries):
    with open(os.path.join(sys.argv[1], name + ".json"), "w") as out:
        json.dump({"library": about, "entries": entries}, out, indent=1)
        out.write("\n")


# gotd: Go writes byte slices as base64.
def gotd(config):
    return json.dumps({"Version": 1, "Data": {
        "Config": config, "DC": 2, "Addr": f"{HOST}:443",
        "AuthKey": base64.b64encode(KEY).decode(), "AuthKeyID": base64.b64encode(ID).decode(), "Salt": -1234567890,
    }})


empty = {"Flags": 0, "TestMode": False, "ThisDC": 0, "DCOptions": None}
asked = {"Flags": 0, "TestMode": True, "ThisDC": 2, "DCOptions": [{"ID": 2, "IPAddress": HOST, "Secret": None}]}
save("gotd", "gotd, by description", [
    {"form": "before the configuration", "json": gotd(empty), "dc": 2, "server": [HOST, 443]},
    {"form": "test environment", "json": gotd(asked), "dc": 2, "server": [HOST, 443], "test": True},
])


# WTelegramClient.
def wtelegram(text, key):
    body = hashlib.sha256(text).digest() + text
    pad = 16 - len(body) % 16
    iv = bytes(range(16))
    aes = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return iv + aes.update(body + bytes([pad]) * pad) + aes.finalize()


def escaped(value):
    # .NET writes the signs of base64 that HTML knows as escapes.
    return json.dumps(value).replace("+", "\\u002B").encode()


one = {
    "Id": 1, "AuthKeyID": struct.unpack("<q", ID)[0], "AuthKey": base64.b64encode(KEY).decode(), "UserId": USER,
    "Salt": 5, "Seqno": 3, "DataCenter": {"flags": 0, "id": 2, "ip_address": HOST, "port": 443},
}
many = {
    "ApiId": 12345, "UserId": USER, "MainDC": 2,
    "DCSessions": {"4": {**one, "DataCenter": {**one["DataCenter"], "id": 4}}, "2": one, "-2": {**one, "AuthKey": None},
                   "1": {"Id": 7}},
    "DcOptions": [],
}
api_hash = "0123456789abcdef0123456789abcdef"
session_key = api_hash * 2
data = wtelegram(escaped(many), bytes.fromhex(session_key))
stale = wtelegram(escaped({"ApiId": 1}), bytes.fromhex(session_key))
header = struct.pack("<ii", 8 + len(stale), len(data))
known = {"dc": 2, "server": [HOST, 443], "user": USER, "bot": False}
save("wtelegram", "WTelegramClient, by description", [
    {"form": "1", "bytes": wtelegram(escaped(one), bytes.fromhex(api_hash)).hex(), "key": api_hash,
     "dc": 2, "server": [HOST, 443], "user": USER, "bot": False, "dcs": [2]},
    {"form": "2 and later", "bytes": (header + stale + data).hex(), "key": session_key, **known, "dcs": [2, 4]},
])

# Web A and K.
text = KEY.hex()
items = {
    "dc": "2", "dc2_auth_key": json.dumps(text), "dc2_server_salt": json.dumps("00ff"), "dc4_auth_key": json.dumps(text[2:] + "07"),
    "user_auth": json.dumps({"dcID": 2, "id": str(USER)}), "tt-global-state": json.dumps({"a": [1]}), "kz_version": json.dumps("K"),
}
account = {"dcId": 2, "userId": USER, "dc2_auth_key": text, "dc2_server_salt": "00ff", "auth_key_fingerprint": "11223344"}
other = {"dcId": 4, "userId": USER + 1, "dc4_auth_key": text[2:] + "07"}
known = {"dc": 2, "user": USER, "bot": False}
save("web", "Telegram Web A and K, by description", [
    {"form": "one account", "json": json.dumps(items), **known, "dcs": [2, 4]},
    {"form": "two accounts", "json": json.dumps({**items, "account1": json.dumps(account), "account2": json.dumps(other)}),
     **known, "dcs": [2, 4]},
    {"form": "parsed items", "json": json.dumps({"account1": account, "account2": other}), **known, "dcs": [2, 4]},
])


# TDLib.
def tl(data):
    head = bytes([len(data)]) if len(data) < 254 else b"\xfe" + struct.pack("<I", len(data))[:3]
    whole = head + data
    return whole + bytes(-len(whole) % 4)


def event(number, kind, flags, data):
    body = struct.pack("<IQiIQ", len(data) + 32, number, kind, flags, 0) + data
    return body + struct.pack("<I", zlib.crc32(body))


def entry(number, name, value, flags=0):
    return event(number, 0x4327, flags, tl(name) + tl(value))


stored = ID + struct.pack("<i", 1) + tl(KEY)
events = [
    entry(1, b"main_dc_id", b"1"), entry(2, b"auth2", ID + struct.pack("<i", 0) + tl(b"")),
    entry(3, b"my_id", str(USER).encode()), entry(4, b"auth4", stored), entry(5, b"auth", b"ok"),
    event(6, 0x1F18, 0, tl(b"auth9") + tl(b"")), entry(2, b"auth2", stored, 1), entry(1, b"main_dc_id", b"2", 1),
    entry(7, b"auth_is_bot", b"true"), entry(8, b"auth5", stored), event(8, -2, 1, b""),
]
plain = b"".join(events)


def encrypted(database_key, rounds):
    salt, iv = bytes(range(32)), bytes(range(100, 116))
    key = hashlib.pbkdf2_hmac("sha256", database_key, salt, rounds)
    check = hmac.new(key, b"cucumbers everywhere", hashlib.sha256).digest()
    aes = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    return event(0, -3, 0, struct.pack("<i", 0) + tl(salt) + tl(iv) + tl(check)) + aes.update(plain)


known = {"dc": 2, "user": USER, "bot": True, "dcs": [2, 4]}
save("tdlib", "TDLib, by description", [
    {"form": "not encrypted", "bytes": plain.hex(), "key": "", **known},
    {"form": "the usual key", "bytes": encrypted(b"cucumber", 2).hex(), "key": "", **known},
    {"form": "a key", "bytes": encrypted(b"\x01\x02\x03", 2).hex(), "key": "010203", **known},
    {"form": "a password", "bytes": encrypted(b"\x01\x02\x03", 60002).hex(), "key": "010203", **known},
])


# Telegram for Android.
def boolean(value):
    return struct.pack("<I", 0x997275B5 if value else 0xBC799737)


def integers(*values):
    return struct.pack(f"<{len(values)}i", *values)


def addresses(version, hosts):
    out = integers(len(hosts))
    for host in hosts:
        out += tl(host) + integers(443)
        out += integers(0) if version >= 7 else b""
        out += tl(b"") if version >= 9 else b""
    return out


def datacenter(version, number, key):
    out = integers(version, number)
    out += integers(227) if version >= 3 else b""
    out += integers(227) if version >= 10 else b""
    out += addresses(version, [HOST.encode(), b"1.2.3.4"])
    if version >= 5:
        out += addresses(version, [b"2001:67c:4e8:f002::a"]) + addresses(version, []) * 2
    out += boolean(False) if version >= 6 else b""
    out += integers(len(key)) + key
    if version >= 4:
        out += ID if key else bytes(8)
    else:
        out += integers(8 if key else 0) + (ID if key else b"")
    if version >= 8:
        out += integers(256) + KEY[::-1] + bytes(8)
    if version >= 12:
        out += integers(0) + bytes(8)
    out += integers(1, 1) + integers(1700000000, 1700003600) + bytes(8)
    out += integers(0) if version >= 13 else b""
    return out


def tgnet(version, dc_version, test=False):
    out = integers(version) + boolean(test)
    out += boolean(False) if version >= 3 else b""
    out += tl(b"en") if version >= 4 else b""
    out += boolean(True) + integers(2, -1, 1700000000) + bytes(8)
    out += boolean(True) if version >= 2 else b""
    out += integers(1700000000) if version >= 5 else b""
    out += integers(1) + bytes(8)
    out += integers(3) + datacenter(dc_version, 1, b"") + datacenter(dc_version, 4, KEY) + datacenter(dc_version, 2, KEY)
    return integers(len(out)) + out


known = {"dc": 2, "server": [HOST, 443], "dcs": [2, 4]}
forms = [(1, 2), (1, 3), (2, 4), (3, 5), (3, 6), (3, 7), (3, 8), (3, 9), (4, 10), (4, 11), (4, 12), (5, 13)]
save("tgnet", "Telegram for Android, by description", [
    {"form": f"{form}", "bytes": tgnet(*form).hex(), "test": False, **known} for form in forms
] + [{"form": "test environment", "bytes": tgnet(5, 13, True).hex(), "test": True, **known}])
