// For `npx vite`, `npx vite build` and `npx vite preview` in this folder.
const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

export default {
  server: { headers },
  preview: { headers },
  build: { target: "es2023" },
  optimizeDeps: { exclude: ["irqbypass"] }, // for `npx vite`: bundled beforehand, the library would look for its worker elsewhere
  worker: { format: "es" }, // the library's worker is a module
};
