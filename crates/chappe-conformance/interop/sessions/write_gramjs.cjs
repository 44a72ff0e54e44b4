// Writes what GramJS writes: session strings, and the files of a `StoreSession`.
//
//     npm install telegram@2.26.22 && node write_gramjs.cjs fixtures
const fs = require("fs");
const path = require("path");
const { createRequire } = require("module");

const load = createRequire(path.join(process.cwd(), "index.js"));
const { StringSession, StoreSession } = load("telegram/sessions");
const { AuthKey } = load("telegram/crypto/AuthKey");
const { version } = load("telegram/package.json");

const KEY = Buffer.from(Array.from({ length: 256 }, (_, place) => (place * 31 + 7) & 0xff));

async function string(form, dc, address, port) {
  const session = new StringSession("");
  session.setDC(dc, address, port);
  const key = new AuthKey();
  await key.setKey(KEY);
  session.setAuthKey(key);
  return { form, text: session.save(), dc, server: [address, port] };
}

// Its files lie in a directory beside where the program runs, which has the session's name.
async function store(form, name, dc, address, port) {
  fs.rmSync(name, { recursive: true, force: true });
  const session = new StoreSession(name);
  session.setDC(dc, address, port);
  const key = new AuthKey();
  await key.setKey(KEY);
  session.setAuthKey(key);
  const files = Object.fromEntries(fs.readdirSync(name).map((file) => [file, fs.readFileSync(path.join(name, file), "utf8")]));
  fs.rmSync(name, { recursive: true });
  return { form, name, files, dc, server: [address, port] };
}

(async () => {
  const entries = [
    await string("string", 2, "149.154.167.51", 443),
    await string("string, name of a server", 4, "vesta.web.telegram.org", 443),
    await string("string, IPv6", 4, "2001:67c:4e8:f004::a", 443),
    await store("files", "account", 2, "149.154.167.51", 443),
  ];
  const text = JSON.stringify({ library: `telegram (GramJS) ${version}`, entries }, null, 1);
  fs.writeFileSync(path.join(process.argv[2], "gramjs.json"), text + "\n");
})();
