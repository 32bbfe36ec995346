// A certified OpenID provider with the client credentials grant, for tests. Its one argument is JSON:
//   {"port": 0, "lifetime": 60, "jwt": false,
//    "clients": [{"client_id": …, "client_secret": …, "token_endpoint_auth_method": "client_secret_basic"}]}
// Tokens are opaque unless `jwt` is true; an unset method is client_secret_basic, client_secret_post works as well.
// The token endpoint is URL/token; the scopes are `read` and `write`.
//
// Prints `ready URL` when it listens. A line `secret ID NEW` on standard input changes a client's secret and is answered
// by `changed`; a line `count` is answered by `count N`, the tokens issued. It ends with its standard input, or by
// SIGTERM.
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const cache = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
const parts = process.env.EVERBEARER_PARTS || join(cache, "everbearer/parts");
const require = createRequire(join(parts, "oidc-provider/package.json"));
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));

const { port = 0, lifetime = 60, jwt = false, clients: given } = JSON.parse(process.argv[2]);
const clients = given.map((client) => ({
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
  ...client,
}));
const signingKey = {
  ...generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" }),
  use: "sig",
  alg: "RS256",
  kid: "test",
};
let issued = 0;
let answer;
const server = createServer((request, response) => answer(request, response));

server.listen(port, "127.0.0.1", () => {
  start();
  console.log(`ready ${address()}`);
});

function address() {
  return `http://127.0.0.1:${server.address().port}`;
}

function start() {
  const provider = new Provider(address(), {
    clients,
    jwks: { keys: [signingKey] },
    cookies: { keys: ["not used by this grant"] },
    scopes: ["read", "write"],
    ttl: { ClientCredentials: lifetime },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: jwt,
        defaultResource: () => "https://api.example",
        getResourceServerInfo: (_context, resource) => ({
          scope: "read write",
          audience: resource,
          accessTokenTTL: lifetime,
          accessTokenFormat: "jwt",
        }),
      },
    },
  });
  const count = () => { issued += 1; };
  provider.on("client_credentials.saved", count);
  provider.on("client_credentials.issued", count);
  answer = provider.callback();
}

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const [command, id, secret] = line.split(" ");
  if (command === "count") console.log(`count ${issued}`);
  if (command === "secret") {
    clients.find((client) => client.client_id === id).client_secret = secret;
    start();
    console.log("changed");
  }
});
lines.on("close", () => process.exit(0));
process.on("SIGTERM", () => process.exit(0));
