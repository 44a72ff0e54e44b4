// Loads the program, which wasm-bindgen made of `examples/page`.
import start from "./page.js";

start();
