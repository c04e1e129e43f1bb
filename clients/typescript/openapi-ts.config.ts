// How the source is written (`make clients`). The generator works with the compiler's API, which TypeScript 7 no
// longer has: package.json stays at 6 until it does without.
import { defineConfig } from "@hey-api/openapi-ts";

export default defineConfig({
  input: "../../docs/openapi.json",
  output: { path: "src", importFileExtension: ".js" },
  plugins: [
    { name: "@hey-api/client-fetch", includeInEntry: true },
    "@hey-api/typescript",
    {
      name: "@hey-api/sdk",
      operations: {
        strategy: "byTags",
        methods: "static",
        containerName: "{{name}}Service",
        // `items-create_item` becomes ItemsService.createItem.
        methodName: (name: string): string => name.replace(/^[^-]*-/, ""),
      },
    },
  ],
});
