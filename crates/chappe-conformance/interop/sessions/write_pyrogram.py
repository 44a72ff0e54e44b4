"""Writes what Pyrogram or one of its forks writes: session strings, and a session file with the row that matters.

    pip install --no-deps --target p pyrogram==2.0.106 pyaes pysocks
    PYTHONPATH=p python write_pyrogram.py fixtures pyrogram
    pip install --no-deps --target k kurigram==2.2.26 pyaes pysocks
    PYTHONPATH=k python write_pyrogram.py fixtures kurigram

The two older string forms are packed here by the formats that the library still declares and reads, since no release
that can be installed today writes them; the library reads each back before it is kept.
"""
import asyncio
import base64
import json
import os
import sqlite3
import struct
import sys
from pathlib import Path

import pyrogram
from pyrogram.storage import *  # noqa: F403
from pyrogram import storage as stores
from pyrogram.storage.storage import Storage

KEY = bytes((place * 31 + 7) & 0xFF for place in range(256))
folder, library = sys.argv[1], sys.argv[2]


def in_memory(text=None):
    if hasattr(stores, "MemoryStorage"):
        return stores.MemoryStorage("dummy", text)
    return stores.SQLiteStorage("dummy", Path("."), session_string=text, in_memory=True)


def in_file(name):
    if hasattr(stores, "FileStorage"):
        return stores.FileStorage(name, Path(folder))
    return stores.SQLiteStorage(name, Path(folder))


async def fill(storage, test):
    await storage.dc_id(2)
    await storage.api_id(12345)
    await storage.test_mode(test)
    await storage.auth_key(KEY)
    await storage.user_id(7_000_000_001)
    await storage.is_bot(False)
    if hasattr(storage, "server_address"):
        await storage.server_address("149.154.167.51")
        await storage.port(443)


def entry(form, text, test, user, bot, api_id, **more):
    return {"form": form, "text": text, "dc": 2, "test": test, "user": user, "bot": bot, "api_id": api_id, **more}


async def main():
    entries = []
    for test in (False, True):
        storage = in_memory()
        await storage.open()
        await fill(storage, test)
        text = await storage.export_session_string()
        entries.append(entry("string", text, test, 7_000_000_001, False, 12345))
    for form, user in ((Storage.OLD_SESSION_STRING_FORMAT, 700_000_001), (Storage.OLD_SESSION_STRING_FORMAT_64, 7_000_000_001)):
        packed = struct.pack(form, 2, False, KEY, user, True)
        text = base64.urlsafe_b64encode(packed).decode().rstrip("=")
        storage = in_memory(text)
        await storage.open()
        assert await storage.auth_key() == KEY and await storage.user_id() == user
        entries.append(entry(f"string, {form}", text, False, user, True, None))
    name = f"{library}-{pyrogram.__version__}"
    path = Path(folder) / f"{name}.session"
    path.unlink(missing_ok=True)
    storage = in_file(name)
    await storage.open()
    await fill(storage, False)
    await storage.save()
    await storage.close()
    columns = "dc_id, test_mode, auth_key, user_id, is_bot, api_id"
    row = list(sqlite3.connect(path).execute(f"SELECT {columns} FROM sessions").fetchone())
    row[2] = row[2].hex()
    entries.append(entry("file", None, False, 7_000_000_001, False, 12345, file=path.name, row=row))
    with open(os.path.join(folder, f"{library}.json"), "w") as out:
        json.dump({"library": f"{library} {pyrogram.__version__}", "entries": entries}, out, indent=1)
        out.write("\n")


asyncio.run(main())
