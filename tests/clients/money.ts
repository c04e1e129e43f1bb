// The largest amount, as the TypeScript client sends and reads it; prints JSON. Types are checked, then Node runs it.

import { AccountsService } from "eitherdb-client";
import { createClient } from "eitherdb-client/client";

declare const process: { argv: string[] }; // all that is needed of @types/node

const [baseUrl, auth, account_id] = process.argv.slice(2);
const client = createClient({ baseUrl, auth });
const path = { account_id };

const deposit = async (amount_minor: number) => {
  const { data, response } = await AccountsService.createDeposit({ client, path, body: { amount_minor } });
  return { status: response?.status, amount: data?.amount_minor };
};
const beyond = await deposit(Number.MAX_SAFE_INTEGER + 1);
const most = await deposit(Number.MAX_SAFE_INTEGER);
const one_more = await deposit(1);
const { data: account } = await AccountsService.readAccount({ client, path, throwOnError: true });
const { data: statement } = await AccountsService.readStatement({ client, path, throwOnError: true });
const [entry] = statement.data;

console.log(
  JSON.stringify({
    beyond: beyond.status,
    one_more: one_more.status,
    is_exact: [most.amount, account.balance_minor, entry.amount_minor, entry.balance_minor].map(
      (number) => number === Number.MAX_SAFE_INTEGER,
    ),
  }),
);
