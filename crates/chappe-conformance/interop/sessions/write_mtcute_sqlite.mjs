// Writes what mtcute writes on Node.js: its SQLite database.
//
//     npm install @mtcute/core@0.30.3 @mtcute/node@0.30.3 && node write_mtcute_sqlite.mjs fixtures
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const modules = join(process.cwd(), 'node_modules/@mtcute');
const load = (path) => import(pathToFileURL(join(modules, path)));
const { SqliteStorage } = await load('node/sqlite/index.js');
const { DefaultDcsService } = await load('core/storage/service/default-dcs.js');
const { CurrentUserService } = await load('core/highlevel/storage/service/current-user.js');
const { version } = JSON.parse(readFileSync(join(modules, 'node/package.json')));
const KEY = new Uint8Array(Array.from({ length: 256 }, (_, place) => (place * 31 + 7) & 0xff));
const folder = process.argv[2];

const nothing = () => {};
const log = { mgr: { level: 0 }, debug: nothing, info: nothing, warn: nothing, error: nothing, verbose: nothing, create: () => log };
const platform = { beforeExit: () => () => {} };

async function write(name, testMode, self) {
  const file = join(folder, name);
  for (const tail of ['', '-wal', '-shm']) rmSync(file + tail, { force: true });
  const storage = new SqliteStorage(file, { disableWal: true });
  await storage.driver.setup?.(log, platform);
  await storage.driver.load?.();
  const options = { driver: storage.driver, log };
  const main = { ipAddress: '149.154.167.50', port: 443, id: 2, testMode };
  await new DefaultDcsService(storage.kv, options).store({ main, media: main });
  if (self) await new CurrentUserService(storage.kv, options).store(self);
  await storage.authKeys.set(2, KEY);
  await storage.driver.save?.();
  const hex = (bytes) => bytes && Buffer.from(bytes).toString('hex');
  const row = [2, hex(KEY), hex(await storage.kv.get('dc_main')), hex(await storage.kv.get('current_user'))];
  await storage.driver.destroy?.();
  return { form: name, file: name, dc: 2, server: ['149.154.167.50', 443], test: testMode, row, ...(self && { user: self.userId, bot: self.isBot }) };
}

const self = { userId: 7000000001, isBot: true, isPremium: false, usernames: ['a_name'] };
const entries = [
  await write(`mtcute-${version}.session`, false, self),
  await write(`mtcute-${version}-test.session`, true, null),
];
const text = JSON.stringify({ library: `@mtcute/node ${version}`, entries }, null, 1);
writeFileSync(join(folder, 'mtcute-sqlite.json'), text + '\n');
