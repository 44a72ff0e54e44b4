"""Writes what Telethon writes: session strings, and a session file with the row that matters.

    pip install --no-deps --target t telethon==1.45.0 && PYTHONPATH=t python write_telethon.py fixtures
"""
import json
import os
import sqlite3
import sys

import telethon
from telethon.crypto import AuthKey
from telethon.sessions import SQLiteSession, StringSession

KEY = bytes((place * 31 + 7) & 0xFF for place in range(256))
folder = sys.argv[1]
entries = []


def string(form, dc, address, port):
    session = StringSession()
    session.set_dc(dc, address, port)
    session.auth_key = AuthKey(KEY)
    entries.append({"form": form, "text": session.save(), "dc": dc, "server": [address, port]})


string("string, IPv4", 2, "149.154.167.51", 443)
string("string, IPv6", 4, "2001:67c:4e8:f004::a", 443)

name = f"telethon-{telethon.__version__}.session"
path = os.path.join(folder, name)
if os.path.exists(path):
    os.remove(path)
session = SQLiteSession(path)
session.set_dc(2, "149.154.167.51", 443)
session.auth_key = AuthKey(KEY)
session.save()
session.close()
row = sqlite3.connect(path).execute("SELECT dc_id, server_address, port, auth_key FROM sessions").fetchone()
entries.append({
    "form": "file", "file": name, "row": [*row[:3], row[3].hex()],
    "dc": 2, "server": ["149.154.167.51", 443],
})
with open(os.path.join(folder, "telethon.json"), "w") as out:
    json.dump({"library": f"telethon {telethon.__version__}", "entries": entries}, out, indent=1)
    out.write("\n")
