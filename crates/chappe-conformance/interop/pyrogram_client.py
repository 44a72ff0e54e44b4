"""A Pyrogram client, or one of its successor Kurigram, against the embedded datacenter.

Usage: pyrogram_client.py HOST PORT PUBLIC_KEY.pem DC_ID [--mtproxy]

With `--mtproxy`, which Kurigram alone knows, HOST and PORT are those of an MTProxy in front of the datacenter. Both install the package `pyrogram`, so each needs an environment of its own. Prints one line per transport and
exits non-zero if any of them fails.
"""

import asyncio
import base64
import hashlib
import sys

HOST, PORT, KEY_PATH, DC_ID = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])

# Pyrogram 2 asks for the loop of the main thread while it is imported.
asyncio.set_event_loop(asyncio.new_event_loop())

import pyrogram  # noqa: E402
from pyrogram import Client, raw  # noqa: E402
from pyrogram.connection import connection  # noqa: E402
from pyrogram.connection.transport import tcp  # noqa: E402
from pyrogram.crypto import rsa  # noqa: E402

TRANSPORTS = [
    "TCPAbridged",
    "TCPAbridgedO",
    "TCPFull",
    "TCPIntermediate",
    "TCPIntermediateO",
    "TCPIntermediatePadded",  # Kurigram alone
]

# Those that `cargo xtask interop` gives the proxy.
KEY = "00112233445566778899aabbccddeeff"
SECRETS = {"plain": KEY, "dd": f"dd{KEY}", "ee": f"ee{KEY}{b'example.com'.hex()}"}


def numbers(der):
    """Returns the integers of a DER structure, from the outside in."""
    found = []
    while der:
        tag, length, header = der[0], der[1], 2
        if length & 0x80:
            header += length & 0x7F
            length = int.from_bytes(der[2:header], "big")
        content, der = der[header : header + length], der[header + length :]
        if tag == 0x30:
            found += numbers(content)
        elif tag == 0x03:
            found += numbers(content[1:])
        elif tag == 0x02:
            found.append(int.from_bytes(content, "big"))
    return found


def tl_bytes(number):
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    head = bytes([len(data)]) if len(data) < 254 else b"\xfe" + len(data).to_bytes(3, "little")
    return head + data + bytes(-(len(head) + len(data)) % 4)


def trust_our_key():
    with open(KEY_PATH, encoding="ascii") as file:
        lines = [line.strip() for line in file if not line.startswith("-----")]
    modulus, exponent = numbers(base64.b64decode("".join(lines)))
    digest = hashlib.sha1(tl_bytes(modulus) + tl_bytes(exponent)).digest()
    fingerprint = int.from_bytes(digest[-8:], "little", signed=True)
    rsa.server_public_keys[fingerprint] = rsa.PublicKey(modulus, exponent)


def connect_to_us(transport):
    """Sends every connection to our address, over one transport."""
    plain = getattr(connection.Connection, "plain_init", connection.Connection.__init__)
    connection.Connection.plain_init = plain

    def init(self, *args, **kwargs):
        plain(self, *args, **kwargs)
        if hasattr(self, "server_address"):
            self.server_address, self.port, self.protocol_factory = HOST, PORT, transport
        else:
            self.address = (HOST, PORT)

    connection.Connection.__init__ = init
    connection.TCPAbridged = transport


async def one_run(**proxy):
    client = Client("interop", api_id=1, api_hash="0" * 32, in_memory=True, no_updates=True, **proxy)
    for _ in range(2):  # the second time with the key of the first
        await client.connect()
        config = await client.invoke(raw.functions.help.GetConfig())
        assert config.this_dc == DC_ID, f"this_dc is {config.this_dc}, expected {DC_ID}"
        assert proxy or any(o.port == PORT for o in config.dc_options), "our own address is not among dc_options"
        await client.disconnect()
        break  # the storage in memory ends with the connection


def over_transports():
    """Prepares each transport, and yields its name and the arguments of the client."""
    from pyrogram.connection import transport as transports

    for name in TRANSPORTS:
        transport = getattr(transports, name, None) or getattr(tcp, name, None)
        if transport is not None:
            connect_to_us(transport)
            yield name, {}


def over_mtproxy():
    for name, secret in SECRETS.items():
        yield f"MTProxy, {name}", {"proxy": f"tg://proxy?server={HOST}&port={PORT}&secret={secret}"}


async def main():
    trust_our_key()
    failed = 0
    for name, proxy in over_mtproxy() if "--mtproxy" in sys.argv else over_transports():
        try:
            await asyncio.wait_for(one_run(**proxy), 60)
            print(f"pyrogram {pyrogram.__version__} {name}: ok", flush=True)
        except Exception as error:  # every kind of failure is a failure of this run
            failed += 1
            print(f"pyrogram {pyrogram.__version__} {name}: FAILED: {error!r}", flush=True)
    return failed


sys.exit(1 if asyncio.get_event_loop().run_until_complete(main()) else 0)
