// Writes what mtcute writes: session strings of version 3 with the current release, of 1 and 2 with the last that wrote them.
//
//     npm install @mtcute/core@0.30.3 && node write_mtcute.mjs fixtures 3
//     npm install @mtcute/core@0.16.4 && node write_mtcute.mjs fixtures 3-before-test-flag
//     npm install @mtcute/client@0.2.1 && node write_mtcute.mjs fixtures 1-and-2
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [, , folder, what] = process.argv;
const load = createRequire(join(process.cwd(), 'index.js'));
const KEY = new Uint8Array(Array.from({ length: 256 }, (_, place) => (place * 31 + 7) & 0xff));
const self = { userId: 7000000001, isBot: false };
const { version } = JSON.parse(readFileSync(join(process.cwd(), 'node_modules/@mtcute/core/package.json')));
const entries = [];

function keep(form, text, more) {
  entries.push({ form, text, dc: 2, server: ['149.154.167.50', 443], ...more });
}

const known = { user: self.userId, bot: self.isBot };
if (what === '1-and-2') {
  const { writeStringSession } = load(join(process.cwd(), 'node_modules/@mtcute/core/cjs/utils/string-session.js'));
  const { __tlWriterMap: map } = load('@mtcute/tl/binary/writer.js');
  const main = { _: 'dcOption', ipAddress: '149.154.167.50', port: 443, id: 2 };
  const media = { _: 'dcOption', ipAddress: '149.154.167.222', port: 443, id: 2, mediaOnly: true };
  const secret = { ...main, secret: new Uint8Array([1, 2, 3]) };
  const write = (version, primaryDcs, testMode, self) =>
    writeStringSession(map, { version, primaryDcs, testMode, self, authKey: KEY });
  keep('string 1', write(1, { main, media: main }, false, self), { test: false, ...known });
  keep('string 1, test, nobody', write(1, { main, media: main }, true, null), { test: true });
  keep('string 1, secret', write(1, { main: secret, media: secret }, false, self), { test: false, ...known });
  keep('string 2', write(2, { main, media }, false, self), { test: false, ...known });
  keep('string 2, one server', write(2, { main, media: main }, true, self), { test: true, ...known });
} else {
  let writeStringSession;
  if (what === '3') {
    ({ writeStringSession } = await import(join(process.cwd(), 'node_modules/@mtcute/core/utils.js')));
  } else {
    globalThis.crypto ??= (await import('node:crypto')).webcrypto;
    const { setPlatform } = load('@mtcute/core/platform.js');
    setPlatform({
      base64Encode: (data) => Buffer.from(data).toString('base64url'),
      utf8Encode: (text) => Buffer.from(text, 'utf8'),
    });
    ({ writeStringSession } = load('@mtcute/core/utils.js'));
  }
  const write = (test, self, apart) => {
    const main = { ipAddress: '149.154.167.50', port: 443, id: 2, testMode: test };
    const media = apart ? { ...main, ipAddress: '149.154.167.222', mediaOnly: true } : main;
    return writeStringSession({ version: 3, primaryDcs: { main, media }, testMode: test, self, authKey: KEY });
  };
  keep('string 3', write(false, self, true), { test: false, ...known });
  keep('string 3, test, nobody', write(true, null, false), { test: true });
}
const text = JSON.stringify({ library: `@mtcute/core ${version}`, entries }, null, 1);
writeFileSync(join(folder, `mtcute-${version}.json`), text + '\n');
