// Uses a client whose types are the API's document: the compiler judges it, then it runs.
import createClient from "openapi-fetch";
import type { paths } from "./gatehouse.js";

const [baseUrl = ""] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl });
const account = { username: "typed", email: "typed@example.com", password: "a lamp, a fern, a quiet river" };

const signedUp = await client.POST("/api/auth/signup", { body: account });
const signedIn = await client.POST("/api/auth/signin", { body: account });
if (signedIn.data === undefined) throw new Error(signedIn.error.message);
const roles: string[] = signedIn.data.roles;

const headers = { Authorization: `Bearer ${signedIn.data.accessToken}` };
const me = await client.GET("/api/users/me", { headers });
const text = await client.GET("/api/test/user", { headers, parseAs: "text" });
const refused = await client.GET("/api/users", { headers, params: { query: { limit: 1 } } });
const code: string | undefined = refused.error?.code;

console.log(JSON.stringify([signedUp.data?.message, roles, me.data?.email, text.data, code]));
