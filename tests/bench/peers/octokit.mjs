// A gate of @octokit/webhooks that answers at once, when the signature is right, and works behind the answer.
import { createServer } from "node:http";
import { Octokit } from "@octokit/core";
import { Webhooks, createNodeMiddleware } from "@octokit/webhooks";
import { labeled, opened, synchronize } from "./gate.mjs";

const { PEER_API: baseUrl, PEER_TOKEN: auth, PEER_SECRET: secret, PEER_PORT: port } = process.env;
const silent = { debug() {}, info() {}, warn() {}, error() {} };
const octokit = new Octokit({ baseUrl, auth, log: silent });
const webhooks = new Webhooks({ secret, log: silent });

function behind(rule) {
  return ({ payload }) => { rule(octokit, payload).catch(() => { /* lost: nobody is told */ }); };
}

webhooks.on("pull_request.opened", behind(opened));
webhooks.on("pull_request.labeled", behind(labeled));
webhooks.on("pull_request.synchronize", behind(synchronize));

const middleware = createNodeMiddleware(webhooks, { path: "/webhook", log: silent });
createServer(async (request, response) => {
  if (!await middleware(request, response))
    response.writeHead(404).end();
}).listen(Number(port), "127.0.0.1");
