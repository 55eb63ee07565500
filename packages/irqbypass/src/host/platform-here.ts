import type { Platform } from "./platform.js";
import { nodePlatform } from "./platform-node.js";
import { webPlatform } from "./platform-web.js";

/** The platform that the calling thread runs on. */
export const platformHere = (): Platform => nodePlatform() ?? webPlatform();
