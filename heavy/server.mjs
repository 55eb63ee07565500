// A folder as a page's server gives it out.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, resolve, sep } from "node:path";

const TYPES = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".json": "application/json",
  ".map": "application/json",
  ".mjs": "text/javascript",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};
/** Without these two a page has no shared memory. */
export const ISOLATED = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};
const EMPTY_PAGE = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>test</title>';

/** Serves one folder on a port of its own, until it is closed; at "/" its index.html, or an empty page. */
export class Server {
  #server;

  /** With `isolated: false` it leaves out the headers that shared memory needs, for paths that match `bare` too; `headers` are more of them. */
  static async start(folder, { isolated = true, bare, headers: others = {} } = {}) {
    const server = new Server();
    server.#server = createServer((request, response) => {
      void answer(resolve(folder), request.url ?? "/").then(({ status, type, body }) => {
        const headers = {
          "Content-Type": type,
          "Cache-Control": "no-store",
          ...(isolated && !bare?.test(request.url ?? "/") ? ISOLATED : {}),
          ...others,
        };
        response.writeHead(status, headers).end(body);
      });
    });
    await new Promise((listening) => server.#server.listen(0, "127.0.0.1", listening));
    return server;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}/`;
  }

  /** Idempotent. */
  async close() {
    if (!this.#server.listening) return;
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }
}

async function answer(folder, url) {
  try {
    const path = decodeURIComponent(new URL(url, "http://127.0.0.1").pathname);
    const file = join(folder, path === "/" ? "index.html" : path);
    if (!file.startsWith(folder + sep)) throw new Error(`${file} is outside of the folder`);
    return {
      status: 200,
      type: TYPES[extname(file)] ?? "application/octet-stream",
      body: await readFile(file),
    };
  } catch (error) {
    if (url === "/") return { status: 200, type: TYPES[".html"], body: EMPTY_PAGE };
    return { status: 404, type: "text/plain", body: String(error) };
  }
}
