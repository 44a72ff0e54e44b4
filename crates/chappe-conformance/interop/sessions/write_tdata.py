"""Writes the folder `tdata` of Telegram Desktop: of version 7.3 by opentele2, and of the versions before 2.0, which no library
writes any more, from the parts that opentele2 has, by the source of those versions (`Local::readMap`, `Local::readMtpData`).

    pip install --no-deps --target t opentele2==2.0.0 && PYTHONPATH=t python write_tdata.py fixtures
"""
import hashlib
import importlib.util
import json
import os
import struct
import sys
import tempfile

# Only the part without Telethon.
found = importlib.util.find_spec("opentele2").submodule_search_locations[0]
spec = importlib.util.spec_from_file_location("_native", os.path.join(found, "_native.abi3.so"))
native = importlib.util.module_from_spec(spec)
spec.loader.exec_module(native)

KEY = bytes((place * 31 + 7) & 0xFF for place in range(256))
USER = 7000000001
folders = []


def keep(form, path, passcode, accounts):
    files = {}
    for folder, _, names in os.walk(path):
        for name in names:
            if name != "configs":
                full = os.path.join(folder, name)
                with open(full, "rb") as file:
                    files[os.path.relpath(full, path).replace(os.sep, "/")] = file.read().hex()
    folders.append({"form": form, "passcode": passcode, "files": files, "accounts": accounts})


def modern(form, passcode):
    with tempfile.TemporaryDirectory() as path:
        accounts = [
            native.Account(0, USER, 2, [(1, KEY), (2, KEY)]),
            native.Account(2, USER + 1, 4, [(4, KEY)]),
        ]
        data = native.TData.new(accounts, passcode.encode(), False, 2)
        data.save(path)
        keep(form, path, passcode, [
            {"index": 2, "user": USER + 1, "dcs": [4]},
            {"index": 0, "user": USER, "dcs": [2, 1]},
        ])


def tdf(contents, version=1009003):
    version = struct.pack("<i", version)
    size = struct.pack("<i", len(contents))
    return b"TDF$" + version + contents + hashlib.md5(contents + size + version + b"TDF$").digest()


def array(data):
    return struct.pack(">I", len(data)) + data


def legacy(form, passcode, ending, settings, version=1009003):
    local = bytes((place * 17 + 3) & 0xFF for place in range(256))
    salt = bytes(range(32))
    key = native.create_legacy_local_key(passcode.encode(), salt)
    contents = array(salt) + array(native.encrypt_local(local, key)) + array(native.encrypt_local(b"", local))
    with tempfile.TemporaryDirectory() as path:
        os.mkdir(os.path.join(path, "D877F783D5D3EF8C"))
        for name, contents in [
            ("D877F783D5D3EF8C/map", contents),
            ("D877F783D5D3EF8C", array(native.encrypt_local(settings, local))),
        ]:
            with open(os.path.join(path, name + ending), "wb") as file:
                file.write(tdf(contents, version))
        keep(form, path, passcode, [{"index": 0, "user": 1234567, "dcs": [2, 4]}])


modern("7.3, no passcode", "")
modern("7.3, passcode", "pässword")
keys = struct.pack(">i", 4) + KEY + struct.pack(">i", 2) + KEY
one = struct.pack(">iii", 1234567, 2, 2) + keys + struct.pack(">i", 0)
legacy("1.9, no passcode", "", "s", struct.pack(">I", 0x4B) + array(one))
legacy("1.9, passcode", "pässword", "0", struct.pack(">I", 0x4B) + array(one))
old = struct.pack(">IiI", 0x01, 1234567, 2)
old += struct.pack(">Ii", 0x00, 4) + KEY + struct.pack(">Ii", 0x00, 2) + KEY
legacy("0.5, settings one by one", "", "1", old + struct.pack(">Ii", 0x07, 1), 5001)

with open(os.path.join(sys.argv[1], "tdata-opentele2.json"), "w") as out:
    json.dump({"library": "opentele2 2.0.0, as Telegram Desktop 7.3.1", "folders": folders}, out, indent=1)
    out.write("\n")
