// Runs a WebAssembly program with WASI: `node wasi.mjs PROGRAM ARGUMENTS`.
import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";

const [program, ...rest] = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", args: [program, ...rest], env: process.env, preopens: { "/": "/" } });
const env = {
  // The exception that a panic unwinds with.
  __cpp_exception: new WebAssembly.Tag({ parameters: ["i32"] }),
  // No threads: joining or detaching one is not supported (ENOSYS).
  pthread_join: () => 52,
  pthread_detach: () => 52,
};
const { instance } = await WebAssembly.instantiate(await readFile(program), { ...wasi.getImportObject(), env });
process.exitCode = wasi.start(instance);
