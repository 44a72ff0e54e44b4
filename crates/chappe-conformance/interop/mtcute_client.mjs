// An mtcute client against the embedded datacenter.
//
// Usage: node mtcute_client.mjs HOST PORT PUBLIC_KEY.pem DC_ID [--key-log FILE] [--mtproxy]
//
// With `--mtproxy`, HOST and PORT are those of an MTProxy in front of the datacenter. With `--key-log`, keys are appended to FILE in
// the format of `chappe decrypt`.
// Prints one line per run and exits non-zero if any of them fails.
import { createHash } from 'node:crypto'
import { appendFileSync, readFileSync } from 'node:fs'

import { BaseTelegramClient, MemoryStorage, MtProxyTcpTransport, TcpTransport } from '@mtcute/node'
import { NodeCryptoProvider } from '@mtcute/node/utils.js'
import { IntermediatePacketCodec, ObfuscatedPacketCodec, PaddedIntermediatePacketCodec } from '@mtcute/core'
import { addPublicKey } from '@mtcute/core/utils.js'

const [host, port, keyPath, dcId] = process.argv.slice(2)

/** Transports over which the datacenter is reached. */
const codecs = {
  intermediate: () => new IntermediatePacketCodec(),
  padded: () => new PaddedIntermediatePacketCodec(),
  obfuscated: () => new ObfuscatedPacketCodec(new IntermediatePacketCodec()),
}

function overTcp(codec) {
  class Transport extends TcpTransport {
    packetCodec() {
      return codec()
    }
  }
  return () => new Transport()
}

// Those that `cargo xtask interop` gives the proxy.
const secrets = {
  plain: '00112233445566778899aabbccddeeff',
  dd: 'dd00112233445566778899aabbccddeeff',
  ee: 'ee00112233445566778899aabbccddeeff6578616d706c652e636f6d',
}

function overMtProxy(secret) {
  return () => new MtProxyTcpTransport({ host, port: Number(port), secret })
}

const ways = process.argv.includes('--mtproxy')
  ? Object.entries(secrets).map(([name, secret]) => [`MTProxy, ${name}`, overMtProxy(secret)])
  : Object.entries(codecs).map(([name, codec]) => [name, overTcp(codec)])

const keyLog = process.argv.includes('--key-log') ? process.argv[process.argv.indexOf('--key-log') + 1] : null

/** Appends to the key log what is kept in `storage`. */
function logKeys(storage) {
  const log = (key) => {
    if (!key) return
    const id = createHash('sha1').update(key).digest().subarray(12, 20)
    appendFileSync(keyLog, `AUTH_KEY ${id.toString('hex')} ${Buffer.from(key).toString('hex')}\n`)
  }
  const keys = storage.authKeys
  const { set, setTemp } = keys
  keys.set = (dc, key) => (log(key), set.call(keys, dc, key))
  keys.setTemp = (dc, idx, key, expires) => (log(key), setTemp.call(keys, dc, idx, key, expires))
}

async function oneRun(transport, pfs) {
  const crypto = new NodeCryptoProvider()
  await crypto.initialize?.()
  addPublicKey(crypto, readFileSync(keyPath, 'ascii'))
  const dc = { id: Number(dcId), ipAddress: host, port: Number(port) }
  const storage = new MemoryStorage()
  if (keyLog) logKeys(storage)
  const client = new BaseTelegramClient({
    apiId: 1,
    apiHash: '0'.repeat(32),
    storage,
    crypto,
    defaultDcs: { main: dc, media: dc },
    transport: transport(),
    disableUpdates: true,
    network: { usePfs: pfs },
    logLevel: 1,
  })
  await client.connect()
  const config = await client.call({ _: 'help.getConfig' })
  if (config.thisDc !== Number(dcId)) throw new Error(`this_dc is ${config.thisDc}`)
  await (client.destroy?.() ?? client.close())
}

let failed = 0
for (const pfs of [false, true]) {
  for (const [name, transport] of ways) {
    const label = `mtcute ${name}${pfs ? ' with a temporary key' : ''}`
    try {
      let timer
      await Promise.race([
        oneRun(transport, pfs),
        new Promise((_, refuse) => {
          timer = setTimeout(() => refuse(new Error('no answer in 60 s')), 60_000)
        }),
      ])
      clearTimeout(timer)
      console.log(`${label}: ok`)
    } catch (error) {
      failed += 1
      console.log(`${label}: FAILED: ${error?.stack ?? error}`)
    }
  }
}
process.exit(failed ? 1 : 0)
