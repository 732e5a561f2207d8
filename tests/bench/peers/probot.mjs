// A Probot gate: answers once its work is done, as Probot does. Its brakes on writing are off: with them it makes one writing
// call a second, whatever it is asked.
import { createServer } from "node:http";
import { Probot, ProbotOctokit, createNodeMiddleware } from "probot";
import { labeled, opened, synchronize } from "./gate.mjs";

const { PEER_API: baseUrl, PEER_TOKEN: githubToken, PEER_SECRET: secret, PEER_PORT: port } = process.env;
const Octokit = ProbotOctokit.defaults((options) => (
  { ...options, retry: { enabled: false }, throttle: { ...options.throttle, enabled: false } }));
const probot = new Probot({ baseUrl, githubToken, secret, Octokit, logLevel: "fatal" });

function app(robot) {
  robot.on("pull_request.opened", (context) => opened(context.octokit, context.payload));
  robot.on("pull_request.labeled", (context) => labeled(context.octokit, context.payload));
  robot.on("pull_request.synchronize", (context) => synchronize(context.octokit, context.payload));
}

const middleware = createNodeMiddleware(app, { probot, webhooksPath: "/webhook" });
createServer((request, response) => middleware(request, response, () => response.writeHead(404).end()))
  .listen(Number(port), "127.0.0.1");
