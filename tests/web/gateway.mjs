// A web server that runs prgate as CGI: one process for each request, as RFC 3875 has it.
import http from "node:http";
import { spawn } from "node:child_process";

function variables(request, config) {
    const url = new URL(request.url, "http://localhost");
    return {
        PATH: process.env.PATH, PRGATE_CONF: config, GATEWAY_INTERFACE: "CGI/1.1", SERVER_PROTOCOL: "HTTP/1.1",
        SERVER_SOFTWARE: "gateway", SERVER_NAME: "localhost", REMOTE_ADDR: "127.0.0.1", SCRIPT_NAME: "",
        REQUEST_METHOD: request.method, PATH_INFO: decodeURIComponent(url.pathname), QUERY_STRING: url.search.slice(1),
        HTTP_ACCEPT: request.headers.accept ?? "", CONTENT_LENGTH: "0",
    };
}

function reply(response, output) {
    const end = output.indexOf("\r\n\r\n");
    if (end < 0) {
        response.writeHead(502).end("prgate said nothing");
        return;
    }
    const headers = output.subarray(0, end).toString().split("\r\n").map((line) => line.split(/: (.*)/s).slice(0, 2));
    const status = Number(headers.find(([name]) => name === "Status")[1].slice(0, 3));
    response.writeHead(status, Object.fromEntries(headers.filter(([name]) => name !== "Status")));
    response.end(output.subarray(end + 4));
}

// Resolves to {url, close()}.
export function serve(program, config) {
    const server = http.createServer((request, response) => {
        const child = spawn(program, { env: variables(request, config), stdio: ["pipe", "pipe", "inherit"] });
        const parts = [];
        child.stdin.end();
        child.stdout.on("data", (part) => parts.push(part));
        child.stdout.on("close", () => reply(response, Buffer.concat(parts)));
    });
    return new Promise((resolve) => {
        server.listen(0, "127.0.0.1", () => resolve({
            url: `http://127.0.0.1:${server.address().port}`,
            close: () => { server.closeAllConnections(); server.close(); },
        }));
    });
}
