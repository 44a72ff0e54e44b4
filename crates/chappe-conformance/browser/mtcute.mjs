// mtcute's client for browsers against the embedded datacenter, with the parameters of the page of `chappe-web`.
//
// esbuild bundles it. Its elements have the same ids as those of the page of `chappe-web`.
import { addPublicKey } from '@mtcute/core/utils.js'
import { BaseTelegramClient, WebCryptoProvider, WebSocketTransport } from '@mtcute/web'

const parameters = new URLSearchParams(location.search)
const show = (id, text) => (document.getElementById(id).textContent = text)

/// mtcute makes `wss://` URLs. The datacenter of this machine has no TLS.
class LocalSocket extends WebSocket {
  constructor(_url, protocols) {
    super(parameters.get('url'), protocols)
  }
}

async function run() {
  const crypto = new WebCryptoProvider({ wasmInput: new URL('mtcute-simd.wasm', location.href) })
  await crypto.initialize()
  addPublicKey(crypto, parameters.get('key'))
  const dc = { id: Number(parameters.get('dc')), ipAddress: '127.0.0.1', port: 443 }
  const client = new BaseTelegramClient({
    apiId: 1,
    apiHash: '0'.repeat(32),
    storage: 'mtcute',
    crypto,
    defaultDcs: { main: dc, media: dc },
    transport: new WebSocketTransport({ ws: LocalSocket }),
    disableUpdates: true,
    logLevel: 1,
  })
  await client.connect()
  const config = await client.call({ _: 'help.getConfig' })
  show('first-answer', `${performance.now().toFixed(0)} ms after the page began to load`)
  show('config', `datacenter ${config.thisDc}, ${config.dcOptions.length} addresses`)
  show('state', 'connected')
}

run().catch((error) => show('state', String(error?.stack ?? error)))
