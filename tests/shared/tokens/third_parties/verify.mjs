// node verify.mjs jose|jwks-rsa JWKS_URL ISSUER AUDIENCE: reads one token a line from
// standard input, answers "ok SUBJECT" or "refused" for each, keeping its keys meanwhile.
import { createInterface } from "node:readline";
import { createPublicKey, verify as verifySignature } from "node:crypto";
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";
import jwksRsa from "jwks-rsa";

const [library, url, issuer, audience] = process.argv.slice(2);
const keySet = createRemoteJWKSet(new URL(url), { cooldownDuration: 0 });
const client = jwksRsa({ jwksUri: url, cache: true });

const verifiers = {
  async jose(token) {
    const checks = { issuer, audience, algorithms: ["RS256"], typ: "at+jwt" };
    return (await jwtVerify(token, keySet, checks)).payload.sub;
  },
  async "jwks-rsa"(token) {
    const key = await client.getSigningKey(decodeProtectedHeader(token).kid);
    const at = token.lastIndexOf(".");
    const signature = Buffer.from(token.slice(at + 1), "base64url");
    const pem = createPublicKey(key.getPublicKey());
    if (!verifySignature("sha256", Buffer.from(token.slice(0, at)), pem, signature)) {
      throw new Error("signature");
    }
    return decodeJwt(token).sub;
  },
};

for await (const token of createInterface({ input: process.stdin })) {
  try {
    console.log(`ok ${await verifiers[library](token)}`);
  } catch (error) {
    console.error(error.code ?? error.name);
    console.log("refused");
  }
}
