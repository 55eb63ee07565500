// Tests in a real browser: a folder is served, a module of it runs in a page of a headless one. All of them speak WebDriver BiDi.

import { Server } from "./server.mjs";
import { executableOf } from "./workspace.mjs";

const LAUNCH = {
  chromium: { browser: "chrome", args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"] },
  firefox: { browser: "firefox" },
};
const VIEWPORT = { width: 1280, height: 720 };
/** A page in the background draws nothing, and there frames are no clock. */
const POLLING = 20;

/** A headless browser with a new profile, which goes with it. */
export class Browser {
  #inside;
  #pages = [];

  /** `name` is "chromium" or "firefox". */
  static async start(name = "chromium") {
    // Not at the top: whether it is installed is found out first, by `browserTests`.
    const { default: puppeteer } = await import("puppeteer-core");
    const browser = new Browser();
    browser.#inside = await puppeteer.launch({
      ...LAUNCH[name],
      executablePath: executableOf(name),
      protocol: "webDriverBiDi",
      protocolTimeout: 0, // a module may run for as long as it wants
      defaultViewport: VIEWPORT,
    });
    return browser;
  }

  /** A page of its own on what `folder` has; `options` are the server's. It lives until it or the browser is closed. */
  async open(folder, options) {
    return this.#openOn(await Server.start(folder, options));
  }

  /** The same on a server that runs already: its `url`. */
  openAt(url) {
    return this.#openOn({ url, async close() {} });
  }

  async #openOn(server) {
    const inside = await (await this.#inside.createBrowserContext()).newPage();
    const page = new Page(inside, server);
    this.#pages.push(page);
    await inside.goto(server.url);
    return page;
  }

  async close() {
    await Promise.all(this.#pages.map((page) => page.close()));
    await this.#inside.close();
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
        async (path, given) => (await import(path)).default(given),
        `/${module}`,
        argument,
      );
    } catch (error) {
      throw await this.#withWhatItSaid(error);
    }
  }

  /** The error with the console and uncaught errors added; what workers wrote comes by a way of its own, a little later. */
  async #withWhatItSaid(error) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    error.message = [error.message, ...this.console, ...this.errors].join("\n");
    return error;
  }

  /** Waits until the page's own script has set `program`, and calls that. As {@link run}. */
  async program(argument) {
    try {
      await this.#page.waitForFunction(() => globalThis.program !== undefined, { polling: POLLING });
      return await this.#page.evaluate((given) => globalThis.program(given), argument);
    } catch (error) {
      throw await this.#withWhatItSaid(error);
    }
  }

  /** Another page on the same folder and of the same profile: it shares what pages of an origin share. */
  async another() {
    const inside = await this.#page.browserContext().newPage();
    await inside.goto(this.#server.url);
    return new Page(inside, { url: this.#server.url, async close() {} }); // the server is this one's
  }

  /** What browsers do to tabs in the background: "frozen", and then "active" again. */
  async lifecycle(state) {
    const session = await this.#page.createCDPSession();
    await session.send("Page.setWebLifecycleState", { state });
    await session.detach();
  }

  /** Leaves for another document of the folder. */
  async leave(path) {
    await this.#page.goto(new URL(path, this.#server.url).href);
  }

  /** The back button. */
  async back() {
    await this.#page.goBack();
  }

  /** Its process ends, as that of a tab which is discarded. */
  async crash() {
    const session = await this.#page.createCDPSession();
    const crashed = new Promise((resolve) => session.once("Inspector.targetCrashed", resolve));
    session.send("Page.crash").catch(() => {}); // nobody is left to answer
    await crashed;
  }

  /** A picture of it, as a PNG file. */
  async picture(path) {
    await this.#page.screenshot({ path });
  }

  /** Clicks what a selector finds. */
  async click(selector) {
    await this.#page.locator(selector).click();
  }

  /** The text of what a selector finds. */
  async text(selector) {
    return this.#page
      .locator(selector)
      .map(({ innerText }) => innerText)
      .wait();
  }

  /** Idempotent. */
  async close() {
    await this.#page.close();
    await this.#server.close();
  }
}
