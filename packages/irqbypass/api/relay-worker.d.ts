// What this entry point exports; written by npm run api; review what changes.
export {};
