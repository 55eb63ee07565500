import type { Platform } from "./platform.js";
import { nodePlatform } from "./platform-node.js";
import { askForStorage, webPlatform } from "./platform-web.js";

if (nodePlatform() === undefined) askForStorage();

/** The platform that the calling thread runs on. */
export const platformHere = (): Platform => nodePlatform() ?? webPlatform();
