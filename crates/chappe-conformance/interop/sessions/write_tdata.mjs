// Writes the folder `tdata` as Telegram Desktop does from 2.0 to 7.2, by mtcute's converter.
//
//     npm install --ignore-scripts @mtcute/convert@0.29.7 @mtcute/node@0.29.7 && node write_tdata.mjs fixtures
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [, , folder] = process.argv;
const modules = join(process.cwd(), 'node_modules/@mtcute');
const load = (path) => import(pathToFileURL(join(modules, path)));
const { convertToTdata } = await load('convert/index.js');
const { version } = JSON.parse(readFileSync(join(modules, 'convert/package.json')));
const KEY = new Uint8Array(Array.from({ length: 256 }, (_, place) => (place * 31 + 7) & 0xff));

const session = (userId, id) => ({
  version: 3,
  primaryDcs: { main: { id, ipAddress: '149.154.167.50', port: 443 } },
  authKey: KEY,
  self: { userId, isBot: false, isPremium: false, usernames: [] },
});

const folders = [];
for (const [form, passcode] of [['2.0 to 7.2, no passcode', ''], ['2.0 to 7.2, passcode', 'pässword']]) {
  const path = mkdtempSync(join(tmpdir(), 'tdata-'));
  await convertToTdata([session(7000000001, 2), session(7000000002, 4)], { path, passcode });
  const files = {};
  for (const name of readdirSync(path, { recursive: true, withFileTypes: true })) {
    if (name.isFile() && !name.parentPath.slice(path.length)) {
      files[name.name] = readFileSync(join(path, name.name)).toString('hex');
    }
  }
  rmSync(path, { recursive: true });
  folders.push({
    form,
    passcode,
    files,
    accounts: [
      { index: 0, user: 7000000001, dcs: [2] },
      { index: 1, user: 7000000002, dcs: [4] },
    ],
  });
}
writeFileSync(
  join(folder, 'tdata-mtcute.json'),
  JSON.stringify({ library: `@mtcute/convert ${version}, as Telegram Desktop 5.8.3`, folders }, null, 1) + '\n',
);
