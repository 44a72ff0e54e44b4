"""A Telethon client against the embedded datacenter, over every transport Telethon has.

Usage: telethon_client.py HOST PORT PUBLIC_KEY.pem DC_ID [--key-log FILE] [--mtproxy]

With `--mtproxy`, HOST and PORT are those of an MTProxy in front of the datacenter. With `--key-log`, they are those of a relay, and
keys are appended to FILE in the format of `chappe decrypt`. Prints one line per transport and exits non-zero if any of them fails.
"""

import asyncio
import hashlib
import sys

from telethon import TelegramClient, functions
from telethon.crypto import rsa
from telethon.network import (
    ConnectionTcpAbridged,
    ConnectionTcpFull,
    ConnectionTcpIntermediate,
    ConnectionTcpMTProxyAbridged,
    ConnectionTcpMTProxyIntermediate,
    ConnectionTcpMTProxyRandomizedIntermediate,
    ConnectionTcpObfuscated,
)
from telethon.sessions import MemorySession

TRANSPORTS = [
    ConnectionTcpAbridged,
    ConnectionTcpIntermediate,
    ConnectionTcpFull,
    ConnectionTcpObfuscated,
]
# Those that `cargo xtask interop` gives the proxy.
PLAIN, PADDED = "00112233445566778899aabbccddeeff", "dd00112233445566778899aabbccddeeff"
MTPROXY = [
    (ConnectionTcpMTProxyAbridged, PLAIN),
    (ConnectionTcpMTProxyIntermediate, PLAIN),
    (ConnectionTcpMTProxyRandomizedIntermediate, PADDED),
]


KEY_LOG = sys.argv[sys.argv.index("--key-log") + 1] if "--key-log" in sys.argv else None


def log_key(key):
    key_id = hashlib.sha1(key).digest()[12:20]
    with open(KEY_LOG, "a", encoding="ascii") as log:
        log.write(f"AUTH_KEY {key_id.hex()} {key.hex()}\n")


async def one_run(host, port, dc_id, connection, secret):
    proxy = (host, port, secret) if secret else None
    session = MemorySession()
    session.set_dc(dc_id, host, port)
    client = TelegramClient(
        session,
        api_id=1,
        api_hash="0" * 32,
        connection=connection,
        proxy=proxy,
        timeout=20,
        connection_retries=1,
        auto_reconnect=False,
        receive_updates=False,
    )
    await client.connect()
    config = await client(functions.help.GetConfigRequest())
    assert config.this_dc == dc_id, f"this_dc is {config.this_dc}, expected {dc_id}"
    assert secret or KEY_LOG or any(o.port == port for o in config.dc_options), "our own address is not among dc_options"
    if KEY_LOG:
        log_key(session.auth_key.key)
    await client.disconnect()

    # A second connection with the key of the first.
    again = TelegramClient(
        session,
        api_id=1,
        api_hash="0" * 32,
        connection=connection,
        proxy=proxy,
        connection_retries=1,
        receive_updates=False,
    )
    await again.connect()
    await again(functions.help.GetConfigRequest())
    await again.disconnect()


async def main():
    host, port, key_path, dc_id = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    with open(key_path, encoding="ascii") as key:
        rsa.add_key(key.read(), old=False)
    failed = 0
    ways = MTPROXY if "--mtproxy" in sys.argv else [(connection, None) for connection in TRANSPORTS]
    for connection, secret in ways:
        try:
            await asyncio.wait_for(one_run(host, port, dc_id, connection, secret), 60)
            print(f"telethon {connection.__name__}: ok", flush=True)
        except Exception as error:  # every kind of failure is a failure of this run
            failed += 1
            print(f"telethon {connection.__name__}: FAILED: {error!r}", flush=True)
    return failed


sys.exit(1 if asyncio.run(main()) else 0)
