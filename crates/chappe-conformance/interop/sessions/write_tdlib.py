"""Writes what TDLib writes: the database of a client that has made keys with the embedded datacenter, and is not logged in.

    pip install --no-deps --target t tdjson==1.8.69
    cargo run -p chappe --example loopback -- --listen 127.0.0.1:18443 --public-key pub.pem
    python write_tdlib.py 127.0.0.1 18443 pub.pem 2 t/tdjson.libs/libtdjson-*.so.* fixtures

The keys are those of a datacenter that lived for this run. TDLib stores the id of each beside it, which the importer compares.
"""
import base64
import ctypes
import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tdlib_client

td = ctypes.CDLL(tdlib_client.library())
td.td_receive.restype = ctypes.c_char_p
td.td_receive.argtypes = [ctypes.c_double]
td.td_send.argtypes = [ctypes.c_int, ctypes.c_char_p]
entries = []


def write(form, key, test):
    folder = tempfile.mkdtemp(prefix="tdlib-")
    client = tdlib_client.Client(td)
    client.send(type="setLogVerbosityLevel", new_verbosity_level=0)
    client.send(type="setOption", name="use_pfs", value={"@type": "optionValueBoolean", "value": False})
    client.send(
        type="setTdlibParameters",
        use_test_dc=test,
        database_directory=folder,
        database_encryption_key=base64.b64encode(key).decode(),
        use_message_database=False,
        api_id=1,
        api_hash="0" * 32,
        system_language_code="en",
        device_model="interop",
        application_version="1",
    )
    port = tdlib_client.start_proxy()
    proxy = {"@type": "proxy", "server": "127.0.0.1", "port": port, "type": {"@type": "proxyTypeSocks5"}}
    client.send(type="addProxy", enable=True, proxy=proxy)
    client.wait_for(
        lambda it: it["@type"] == "updateConnectionState" and it["state"]["@type"] == "connectionStateReady"
    )
    client.send(type="getCountries", **{"@extra": "countries"})
    client.wait_for(lambda it: it.get("@extra") == "countries")
    client.send(type="close")
    client.wait_for(
        lambda it: it["@type"] == "updateAuthorizationState"
        and it["authorization_state"]["@type"] == "authorizationStateClosed"
    )
    with open(os.path.join(folder, "td_test.binlog" if test else "td.binlog"), "rb") as file:
        entries.append({"form": form, "bytes": file.read().hex(), "key": key.hex()})


write("no key", b"", False)
write("a key", b"\x01\x02\x03", False)
with open(os.path.join(sys.argv[6], "tdlib-1.8.69.json"), "w") as out:
    json.dump({"library": "tdjson 1.8.69", "entries": entries}, out, indent=1)
    out.write("\n")
sys.stdout.flush()
# Its threads would go on after us.
os._exit(0)
