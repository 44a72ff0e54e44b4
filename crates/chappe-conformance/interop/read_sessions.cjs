// Reads session strings that chappe-import wrote, with GramJS and mtcute.
//
// Usage: node read_sessions.cjs STRINGS.json EXPECTED.json
//
// Exits non-zero if what they read is not what was written.
const { readFileSync } = require('node:fs')

const { StringSession } = require('telegram/sessions')

const [strings, expected] = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path, 'ascii')))
let failed = 0

function check(library, read) {
  for (const [name, value] of Object.entries(read)) {
    if (value !== expected[name]) {
      failed += 1
      // The key is not printed.
      const shown = name === 'key' ? '' : `: ${value}, expected ${expected[name]}`
      console.log(`${library} reads another ${name}${shown}`)
    }
  }
  console.log(`${library} reads ${Object.keys(read).join(', ')}: ${failed ? 'FAILED' : 'ok'}`)
}

async function gramjs() {
  const session = new StringSession(strings.gramjs)
  await session.load()
  check('gramjs', {
    dc: session.dcId,
    host: session.serverAddress,
    port: session.port,
    key: session.getAuthKey().getKey().toString('hex'),
  })
}

async function mtcute() {
  const { readStringSession } = await import('@mtcute/core/utils.js')
  const session = readStringSession(strings.mtcute)
  check('mtcute', {
    dc: session.primaryDcs.main.id,
    host: session.primaryDcs.main.ipAddress,
    port: session.primaryDcs.main.port,
    key: Buffer.from(session.authKey).toString('hex'),
    user: Number(session.self.userId),
    is_bot: session.self.isBot,
  })
}

gramjs()
  .then(mtcute)
  .then(() => process.exit(failed ? 1 : 0))
