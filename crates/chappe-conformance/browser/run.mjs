// Serves the pages, and drives a browser through them.
//
// Usage: node run.mjs FOLDER HOST PORT PUBLIC_KEY.pem DC_ID [BROWSER SCREENSHOT.png ROUNDS]
//
// FOLDER contains `chappe/` and `mtcute/`. Without a browser, the script serves the pages until it is stopped. With one, it
// exits with an error if a check fails, loads each page ROUNDS times with a new key and as often with a stored one, and
// prints JSON as its last line: for each page the medians of the times from the beginning of loading to the first answer, in
// milliseconds, and the bytes of code.
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { gzipSync } from 'node:zlib'

const [folder, host, port, keyPath, dcId, browserPath, screenshot, rounds] = process.argv.slice(2)

const TYPES = { '.css': 'text/css', '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' }

// How long a page may take, in milliseconds. The machine may be busy.
const PATIENCE = 120_000

// With this policy, the browser runs only code of the site.
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src data:; connect-src 'self' ws://127.0.0.1:*"

/// The code that was sent, by path: its length, and its length after gzip.
const sent = new Map()

const server = createServer((request, response) => {
  const path = normalize(new URL(request.url, 'http://localhost').pathname)
  const file = join(folder, path.endsWith('/') ? join(path, 'index.html') : path)
  if (!file.startsWith(folder) || !existsSync(file)) {
    response.writeHead(404).end()
    return
  }
  const [bytes, type] = [readFileSync(file), TYPES[extname(file)] ?? 'application/octet-stream']
  if (['.js', '.wasm'].includes(extname(file))) sent.set(path, [bytes.length, gzipSync(bytes, { level: 9 }).length])
  response.writeHead(200, { 'Content-Type': type, 'Content-Security-Policy': POLICY, 'Cache-Control': 'no-store' })
  response.end(bytes)
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')

const parameters = new URLSearchParams({
  url: `ws://${host}:${port}/apiws`,
  dc: dcId,
  key: readFileSync(keyPath, 'ascii'),
})
const urlOf = (name) => `http://127.0.0.1:${server.address().port}/${name}/?${parameters}`

if (!browserPath) {
  console.log(`the page is served at ${urlOf('chappe')}`)
  await new Promise(() => {})
}

function check(condition, text) {
  if (!condition) throw new Error(text)
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]

/// Returns the text of an element.
const text = (page, id) => page.$eval(`#${id}`, (element) => element.textContent)

/// Waits until the text of an element passes a test, and returns it.
async function until(page, id, passes) {
  const deadline = performance.now() + PATIENCE
  for (;;) {
    const found = await text(page, id)
    if (passes(found)) return found
    check(performance.now() < deadline, `#${id} still says: ${found}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/// Waits until the page is connected, and returns how long that took from the beginning of loading.
async function connected(page) {
  const state = await until(page, 'state', (state) => !['loading', 'connecting'].includes(state))
  check(state === 'connected', `the page says: ${state}`)
  return Number.parseInt(await text(page, 'first-answer'))
}

/// Waits until an element shows a number of at least `least`.
const atLeast = (page, id, least) => until(page, id, (number) => Number(number) >= least)

async function open(browser) {
  // A context has storage of its own, which is empty.
  const context = await browser.createBrowserContext()
  const page = await context.newPage()
  page.on('pageerror', (error) => console.log(`the page threw: ${error}`))
  page.on('console', (message) => console.log(`the page printed: ${message.text()}`))
  return { context, page }
}

/// The page makes a key, gets answers and updates, and has its key when it is loaded again.
async function provePage(browser) {
  const { context, page } = await open(browser)
  await page.setViewport({ width: 820, height: 640 })
  await page.goto(urlOf('chappe'))
  await connected(page)
  check((await text(page, 'key-origin')) === 'made now', 'there was a key before')
  const key = await text(page, 'key-id')
  check(/^[0-9a-f]{16}$/.test(key), `${key} is not the id of a key`)
  check((await text(page, 'config')).startsWith(`datacenter ${dcId},`), await text(page, 'config'))
  await page.click('#again')
  await atLeast(page, 'answers', 2)
  await atLeast(page, 'update-count', 2)
  const shown = await text(page, 'updates')
  check(shown.includes('constructor e317af7e, 4 bytes'), `the update is shown as: ${shown}`)

  await page.reload()
  await connected(page)
  check((await text(page, 'key-origin')) === 'from IndexedDB', 'the key was not found')
  check((await text(page, 'key-id')) === key, 'it is another key')
  // Updates arrive with the stored key.
  await atLeast(page, 'update-count', 2)
  await page.screenshot({ path: screenshot })

  // A second tab must not use the key at the same time.
  const second = await context.newPage()
  await second.goto(urlOf('chappe'))
  await until(second, 'state', (state) => state.includes('in use'))
  await second.close()

  await page.click('#forget')
  await until(page, 'state', (state) => state === 'the key is forgotten')
  await page.reload()
  await connected(page)
  check((await text(page, 'key-id')) !== key, 'a key that was forgotten came back')
  await context.close()
}

/// Runs `work` on an object store of the page's database while no client has it, and returns the result.
async function inDatabase(page, store, work) {
  await page.goto(`${urlOf('chappe').split('?')[0]}page.css`)
  const source = `(async () => {
    const done = (request) => new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error)
    })
    const database = await done(indexedDB.open('chappe-page'))
    const store = database.transaction('${store}', 'readwrite').objectStore('${store}')
    const result = await (${work})(store, done)
    database.close()
    return result
  })()`
  return page.evaluate(source)
}

/// A state that is damaged outside of the key is copied aside, and the key is used. A state without a whole key is not changed.
async function proveDamage(browser) {
  const { context, page } = await open(browser)
  const flip = (place) => `async (store, done) => {
    const [slot] = await done(store.getAllKeys())
    const state = await done(store.get(slot))
    state[${place}] ^= 1
    await done(store.put(state, slot))
    return Array.from(state)
  }`
  await page.goto(urlOf('chappe'))
  await connected(page)
  const key = await text(page, 'key-id')
  const damaged = await inDatabase(page, 'states', flip('state.length - 1'))
  await page.goto(urlOf('chappe'))
  await connected(page)
  check((await text(page, 'key-id')) === key, 'the key was whole, and another one was made')
  const aside = await inDatabase(page, 'aside', 'async (store, done) => (await done(store.getAll())).map(([slot, state]) => [slot, ...state])')
  check(JSON.stringify(aside) === JSON.stringify([[`production-${dcId}-account`, ...damaged]]), 'the damaged state is not aside')
  const unreadable = await inDatabase(page, 'states', flip(0))
  await page.goto(urlOf('chappe'))
  await until(page, 'state', (state) => state.includes('cannot be read'))
  const left = await inDatabase(page, 'states', 'async (store, done) => Array.from((await done(store.getAll()))[0])')
  check(JSON.stringify(left) === JSON.stringify(unreadable), 'a state that cannot be read was changed')
  await context.close()
}

/// Measures a page: the first answer with a new key and with a stored one, and the bytes of its code.
async function measure(browser, name) {
  sent.clear()
  const [fresh, stored] = [[], []]
  for (let round = 0; round < Number(rounds); round += 1) {
    const { context, page } = await open(browser)
    await page.goto(urlOf(name))
    fresh.push(await connected(page))
    await page.reload()
    stored.push(await connected(page))
    await context.close()
  }
  const total = (place) => [...sent.values()].reduce((sum, lengths) => sum + lengths[place], 0)
  return { new_key: median(fresh), stored_key: median(stored), bytes: total(0), gzip: total(1) }
}

const { launch } = await import('puppeteer-core')
// The sandbox of the browser does not work for root, as which CI runs. The pages are ours.
const browser = await launch({ executablePath: browserPath, args: ['--no-sandbox', '--disable-gpu'] })
try {
  await provePage(browser)
  await proveDamage(browser)
  const results = { browser: await browser.version() }
  for (const name of ['chappe', 'mtcute']) {
    results[name] = await measure(browser, name)
  }
  console.log(JSON.stringify(results))
} finally {
  await browser.close()
  server.close()
}
