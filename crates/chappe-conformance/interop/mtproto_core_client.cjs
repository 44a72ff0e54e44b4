// @mtproto/core against the embedded datacenter, over obfuscated intermediate, its only transport.
//
// Usage: node mtproto_core_client.cjs HOST PORT PUBLIC_KEY.pem DC_ID
//
// It takes neither an address nor a key from its caller, so both are replaced inside.

const crypto = require("crypto");
const fs = require("fs");
const os = require("os");
const path = require("path");
const RSA = require("@mtproto/core/src/utils/rsa");
const MTProto = require("@mtproto/core/envs/node");

const [host, port, keyPath, dcId] = [process.argv[2], Number(process.argv[3]), process.argv[4], Number(process.argv[5])];
const { version } = JSON.parse(fs.readFileSync(path.join(__dirname, "node_modules/@mtproto/core/package.json")));

/** Lets the library know our key and no other, whatever its fingerprint is called. */
function trustOurKey() {
  const jwk = crypto.createPublicKey(fs.readFileSync(keyPath)).export({ format: "jwk" });
  const [modulus, exponent] = [jwk.n, jwk.e].map((text) => Buffer.from(text, "base64url").toString("hex"));
  const key = { modulus, exponent };
  RSA.prototype.getRsaKeyByFingerprints = async (fingerprints) => ({ fingerprint: fingerprints[0], ...key });
}

function connect(storage) {
  const client = new MTProto({ api_id: 1, api_hash: "0".repeat(32), storageOptions: { path: storage } });
  client.dcList = [{ id: dcId, ip: host, port }];
  return client;
}

async function main() {
  trustOurKey();
  const storage = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "mtproto-core-")), "storage.json");
  // The second time with the key of the first.
  for (let run = 0; run < 2; run++) {
    const client = connect(storage);
    const config = await client.call("help.getConfig", {}, { dcId });
    if (config.this_dc !== dcId) throw new Error(`this_dc is ${config.this_dc}, expected ${dcId}`);
    if (!config.dc_options.some((option) => option.port === port)) throw new Error("our own address is missing");
  }
  console.log(`@mtproto/core ${version} TCPIntermediateObfuscated: ok`);
}

setTimeout(() => {
  console.log(`@mtproto/core ${version}: FAILED: no answer`);
  process.exit(1);
}, 60_000).unref();

main().then(
  () => process.exit(0),
  (error) => {
    console.log(`@mtproto/core ${version}: FAILED:`, error);
    process.exit(1);
  },
);
