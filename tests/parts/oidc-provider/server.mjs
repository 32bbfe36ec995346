// A certified OpenID provider with the client credentials grant, for tests. Configuration is one JSON argument:
//   {"port": 0, "lifetime": 60, "clients": [{"client_id": …, "client_secret": …, "token_endpoint_auth_method": …}]}
// Prints `ready URL` when it listens. A line `secret ID NEW` on standard input changes a client's secret; a line
// `count` prints `count N`, the tokens issued. It ends with its standard input.
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.OIDC_PROVIDER_HOME}/package.json`);
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));

const options = JSON.parse(process.argv[2]);
const clients = options.clients.map((client) => ({
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
  ...client,
}));

const server = createServer((request, response) => callback(request, response));
let callback = (_, response) => response.writeHead(503).end();
let issued = 0;

server.listen(options.port ?? 0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  start(issuer);
  console.log(`ready ${issuer}`);
});

function start(issuer) {
  const provider = new Provider(issuer, {
    clients,
    scopes: ["read", "write"],
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
    ttl: { ClientCredentials: options.lifetime ?? 60 },
  });
  provider.on("client_credentials.saved", () => { issued += 1; });
  callback = provider.callback();
}

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const [command, id, secret] = line.split(" ");
  if (command === "count") console.log(`count ${issued}`);
  if (command === "secret") {
    clients.find((client) => client.client_id === id).client_secret = secret;
    start(`http://127.0.0.1:${server.address().port}`);
    console.log("changed");
  }
});
lines.on("close", () => process.exit(0));
