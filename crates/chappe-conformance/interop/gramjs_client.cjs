// A GramJS client against the embedded datacenter.
//
// Usage: node gramjs_client.cjs HOST PORT PUBLIC_KEY.pem DC_ID
//
// Prints one line per transport and exits non-zero if any of them fails.
const { createPublicKey } = require('node:crypto')
const { createHash } = require('node:crypto')
const { readFileSync } = require('node:fs')

const bigInt = require('big-integer')
const { Api, TelegramClient } = require('telegram')
const { _serverKeys } = require('telegram/crypto/RSA')
const { ConnectionTCPAbridged, ConnectionTCPFull, ConnectionTCPObfuscated } = require('telegram/network')
const { PromisedNetSockets } = require('telegram/extensions')
const { StringSession } = require('telegram/sessions')

const [host, port, keyPath, dcId] = process.argv.slice(2)

/** The client knows no port but 80 and 443; ours is another. */
class Socket extends PromisedNetSockets {
  connect(_port, ip, testServers) {
    return super.connect(Number(port), ip, testServers)
  }
}

/** The TL encoding of a string. */
function tlString(bytes) {
  const head = bytes.length < 254 ? Buffer.from([bytes.length]) : Buffer.from([254, bytes.length & 255, (bytes.length >> 8) & 255, bytes.length >> 16])
  const body = Buffer.concat([head, bytes])
  return Buffer.concat([body, Buffer.alloc((4 - (body.length % 4)) % 4)])
}

function pinKey() {
  const jwk = createPublicKey(readFileSync(keyPath, 'ascii')).export({ format: 'jwk' })
  const n = Buffer.from(jwk.n, 'base64url')
  const e = Buffer.from(jwk.e, 'base64url')
  const hash = createHash('sha1').update(Buffer.concat([tlString(n), tlString(e)])).digest()
  const fingerprint = hash.subarray(12, 20).readBigInt64LE()
  _serverKeys.set(fingerprint.toString(), { n: bigInt(n.toString('hex'), 16), e: parseInt(e.toString('hex'), 16) })
}

async function oneRun(connection) {
  const session = new StringSession('')
  // A session is saved with its port as a signed 16-bit number, and the socket dials ours anyway.
  session.setDC(Number(dcId), host, 80)
  const client = new TelegramClient(session, 1, '0'.repeat(32), {
    connection,
    connectionRetries: 1,
    autoReconnect: false,
    networkSocket: Socket,
  })
  client.setLogLevel('none')
  await client.connect()
  const config = await client.invoke(new Api.help.GetConfig())
  if (config.thisDc !== Number(dcId)) throw new Error(`this_dc is ${config.thisDc}`)
  await client.destroy()
}

async function main() {
  pinKey()
  let failed = 0
  for (const connection of [ConnectionTCPAbridged, ConnectionTCPFull, ConnectionTCPObfuscated]) {
    try {
      await Promise.race([
        oneRun(connection),
        new Promise((_, refuse) => setTimeout(() => refuse(new Error('no answer in 60 s')), 60_000)),
      ])
      console.log(`gramjs ${connection.name}: ok`)
    } catch (error) {
      failed += 1
      console.log(`gramjs ${connection.name}: FAILED: ${error?.stack ?? error}`)
    }
  }
  process.exit(failed ? 1 : 0)
}

main()
