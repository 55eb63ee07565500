// Tests in a real browser: a folder is served, a module of it runs in a page of headless Chromium.

import { Server } from "./server.mjs";
import { CHROMIUM } from "./workspace.mjs";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"];

/** Headless Chromium with a new profile, which goes with it. */
export class Browser {
  #chromium;
  #pages = [];

  static async start() {
    // Not at the top: whether it is installed is found out first, by `browserTests`.
    const { chromium } = await import("playwright-core");
    const browser = new Browser();
    browser.#chromium = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS });
    return browser;
  }

  /** A page of its own on what `folder` has; `options` are the server's. It lives until it or the browser is closed. */
  async open(folder, options) {
    const server = await Server.start(folder, options);
    const inside = await this.#chromium.newPage();
    const page = new Page(inside, server);
    this.#pages.push(page);
    await inside.goto(server.url);
    return page;
  }

  async close() {
    await Promise.all(this.#pages.map((page) => page.close()));
    await this.#chromium.close();
  }
}

/** A page and what it says. */
class Page {
  /** What the page and its workers wrote to the console, in order: "log: text". */
  console = [];
  /** What they threw and nobody caught. */
  errors = [];
  #page;
  #server;

  constructor(page, server) {
    this.#page = page;
    this.#server = server;
    page.on("console", (message) => this.console.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => this.errors.push(error.stack ?? String(error)));
  }

  /** How many workers run. */
  get workers() {
    return this.#page.workers().length;
  }

  /**
   * Imports a module by its path in the folder, in the page, and calls its default export with `argument`. Resolves with what
   * that returns, copied; rejects with what it throws, the console and uncaught errors added.
   */
  async run(module, argument) {
    try {
      return await this.#page.evaluate(
        async ([path, given]) => (await import(path)).default(given),
        [`/${module}`, argument],
      );
    } catch (error) {
      error.message = [error.message, ...this.console, ...this.errors].join("\n");
      throw error;
    }
  }

  /** Waits until the page's own script has set `program`, and calls that. As {@link run}. */
  async program(argument) {
    try {
      await this.#page.waitForFunction(() => globalThis.program !== undefined);
      return await this.#page.evaluate((given) => globalThis.program(given), argument);
    } catch (error) {
      error.message = [error.message, ...this.console, ...this.errors].join("\n");
      throw error;
    }
  }

  /** Idempotent. */
  async close() {
    await this.#page.close();
    await this.#server.close();
  }
}
