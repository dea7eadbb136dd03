// A service in Express behind the gateway: ISSUER=http://localhost:8080 npm start
import express from "express";
import { protect } from "./tokens.mjs";

const issuer = process.env.ISSUER;
const protectedBy = protect({
  issuer,
  identity: process.env.IDENTITY || issuer,
  cookie: issuer.startsWith("https:") ? "__Secure-access_token" : "access_token",
});

const app = express().disable("x-powered-by");

app.all("/api/hello", protectedBy, (request, response) => {
  response.json({ caller: request.claims.sub });
});

const host = process.env.HOST || "127.0.0.1"; // 0.0.0.0 in a container
const server = app.listen(Number(process.env.PORT || 8010), host, () => {
  console.log(`listening on ${server.address().port}`);
});
