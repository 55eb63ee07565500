// The server that gives a folder to a page.
import assert from "node:assert/strict";
import { get } from "node:http";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Server } from "../server.mjs";

const PAGES = fileURLToPath(new URL("../pages", import.meta.url));

/** A request whose path is sent as it is. */
function ask(server, path) {
  const { hostname, port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    get({ hostname, port, path }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () =>
        resolve({ status: response.statusCode, headers: response.headers, text: chunks.join("") }),
      );
    }).on("error", reject);
  });
}

async function serving(options, body) {
  const server = await Server.start(PAGES, options);
  try {
    await body(server);
  } finally {
    await server.close();
    await server.close();
  }
}

test("gives a file with its type and the headers of a page that may share memory", () =>
  serving({}, async (server) => {
    const { status, headers, text } = await ask(server, "/own-relay.mjs?again");
    assert.equal(status, 200);
    assert.match(text, /relay-worker/);
    assert.equal(headers["content-type"], "text/javascript");
    assert.equal(headers["cross-origin-opener-policy"], "same-origin");
    assert.equal(headers["cross-origin-embedder-policy"], "require-corp");
  }));

test("leaves these headers out where it is told to", () =>
  serving({ isolated: false }, async (server) => {
    const { status, headers } = await ask(server, "/own-relay.mjs");
    assert.equal(status, 200);
    assert.equal(headers["cross-origin-opener-policy"], undefined);
    assert.equal(headers["cross-origin-embedder-policy"], undefined);
  }));

test("leaves them out for the paths that are to come without", () =>
  serving({ bare: /own-relay/ }, async (server) => {
    const policy = async (path) => (await ask(server, path)).headers["cross-origin-embedder-policy"];
    assert.deepEqual(
      [await policy("/own-relay.mjs"), await policy("/harness.mjs")],
      [undefined, "require-corp"],
    );
  }));

test("gives an empty page where the folder has none", () =>
  serving({}, async (server) => {
    const { status, headers, text } = await ask(server, "/");
    assert.equal(status, 200);
    assert.equal(headers["content-type"], "text/html");
    assert.match(text, /^<!doctype html>/);
  }));

for (const path of ["/missing.mjs", "/../server.mjs", "/%2e%2e/server.mjs", "/..%2fserver.mjs", "/%", "//"])
  test(`has no ${path}`, () =>
    serving({}, async (server) => {
      assert.equal((await ask(server, path)).status, 404);
    }));
