// The scenario of scenario.py with the TypeScript client. Prints JSON. The types are checked before Node runs it.

import { ItemsService, LoginService, UsersService, type ErrorBody } from "eitherdb-client";
import { createClient } from "eitherdb-client/client";

declare const process: { argv: string[] }; // the only type that is needed from @types/node

const [baseUrl, email, password] = process.argv.slice(2);
const results: Record<string, unknown> = {};

/** Returns the status and code of an error response. */
function errorOf(response: { response?: Response; error?: unknown }) {
  return { status: response.response?.status, code: (response.error as ErrorBody).code };
}

const anyone = createClient({ baseUrl });
const account = { email, password, full_name: "Ada Lovelace" };
const { data: user } = await UsersService.registerUser({ client: anyone, body: account, throwOnError: true });
results.signed_up = { email: user.email, full_name: user.full_name, is_superuser: user.is_superuser };
results.signed_up_again = errorOf(await UsersService.registerUser({ client: anyone, body: account }));

const signIn = (password: string) =>
  LoginService.loginAccessToken({ client: anyone, body: { username: email, password } });
results.wrong_password = errorOf(await signIn(`not the ${password}`));
results.without_token = errorOf(await ItemsService.readItems({ client: anyone }));
const { data: token } = await signIn(password);
const client = createClient({ baseUrl, auth: token?.access_token });

const invalid = await ItemsService.createItem({ client, body: { title: "" } });
const detail = invalid.error?.detail;
if (detail && typeof detail !== "string") {
  const [{ loc, type }] = detail; // The compiler distinguishes a list of errors from a text.
  results.empty_title = { code: invalid.error?.code, loc, type };
}

const { data: analytical } = await ItemsService.createItem({
  client,
  body: { title: "Analytical Engine", description: "Weaves algebra" },
  throwOnError: true,
});
const { data: difference } = await ItemsService.createItem({
  client,
  body: { title: "Difference Engine" },
  throwOnError: true,
});
const { data: all } = await ItemsService.readItems({ client, throwOnError: true });
results.titles = all.data.map((item) => item.title);
results.count = all.count;
results.in_order_of_time = Date.parse(analytical.created_at) < Date.parse(difference.created_at);

const query = { limit: 1, count: "none" } as const;
const { data: first } = await ItemsService.readItems({ client, query, throwOnError: true });
const { data: second } = await ItemsService.readItems({
  client,
  query: { ...query, cursor: first.next_cursor },
  throwOnError: true,
});
results.first_page = first.data.map((item) => item.title);
results.second_page = {
  titles: second.data.map((item) => item.title),
  count: second.count,
  next_cursor: second.next_cursor,
};

const path = { item_id: analytical.id };
const { data: renamed } = await ItemsService.patchItem({ client, path, body: { title: "Loom" } });
results.renamed = { title: renamed?.title, description: renamed?.description };
const { data: emptied } = await ItemsService.patchItem({ client, path, body: { description: null } });
results.without_description = { title: emptied?.title, description: emptied?.description };

results.deleted = (await ItemsService.deleteItem({ client, path })).data?.message;
results.deleted_again = errorOf(await ItemsService.deleteItem({ client, path }));
const { data: left } = await ItemsService.readItems({ client, throwOnError: true });
results.left = left.data.map((item) => item.title);

console.log(JSON.stringify(results));
