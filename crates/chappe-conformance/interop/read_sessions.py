"""Reads session strings that chappe-import wrote, with Telethon or with Pyrogram and its successor Kurigram.

Usage: read_sessions.py STRINGS.json EXPECTED.json

Each library needs an environment of its own; the one that is there reads its string. Exits non-zero if what it reads is not
what was written.
"""

import asyncio
import json
import sys

with open(sys.argv[1], encoding="ascii") as file:
    STRINGS = json.load(file)
with open(sys.argv[2], encoding="ascii") as file:
    EXPECTED = json.load(file)


def check(library, read):
    for name, value in read.items():
        if value != EXPECTED[name]:
            # The key is not printed.
            shown = "" if name == "key" else f": {value!r}, expected {EXPECTED[name]!r}"
            sys.exit(f"{library} reads another {name}{shown}")
    print(f"{library} reads {', '.join(read)}: ok", flush=True)


def telethon():
    from telethon.sessions import StringSession
    from telethon.version import __version__

    session = StringSession(STRINGS["telethon"])
    check(
        f"telethon {__version__}",
        {
            "dc": session.dc_id,
            "host": session.server_address,
            "port": session.port,
            "key": session.auth_key.key.hex(),
        },
    )
    # What it writes itself is the same text.
    if session.save() != STRINGS["telethon"]:
        sys.exit("telethon would write another string")


def pyrogram():
    asyncio.set_event_loop(asyncio.new_event_loop())
    import pyrogram

    async def read():
        client = pyrogram.Client("read", session_string=STRINGS["pyrogram"], in_memory=True)
        storage = client.storage
        await storage.open()
        return {
            "dc": await storage.dc_id(),
            "api_id": await storage.api_id(),
            "is_test": bool(await storage.test_mode()),
            "key": (await storage.auth_key()).hex(),
            "user": await storage.user_id(),
            "is_bot": bool(await storage.is_bot()),
        }

    check(f"pyrogram {pyrogram.__version__}", asyncio.get_event_loop().run_until_complete(read()))


try:
    telethon()
except ImportError:
    pyrogram()
