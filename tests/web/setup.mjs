// What the set-up page needs around it: a GitHub, which is the simulator of tests/github_sim, and prgatectl setup.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

async function firstLine(child) {
    for await (const line of createInterface({ input: child.stdout }))
        return line;
    throw new Error("it ended without a word");
}

// Resolves to {url, stop()}.
export async function startGithub() {
    const tests = fileURLToPath(new URL("..", import.meta.url));
    const child = spawn("/usr/bin/python3", ["-m", "github_sim"],
        { cwd: tests, env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" }, stdio: ["ignore", "pipe", "inherit"] });
    process.on("exit", () => child.kill("SIGKILL"));
    return { url: await firstLine(child), stop: () => child.kill("SIGKILL") };
}

// Resolves to {url, ended}: the page with its one-time code, and what prgatectl ends with once the App is there.
export async function openSetup(build, config) {
    const child = spawn(`${build}/prgatectl`, ["--json", "-c", config, "setup"], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = new Promise((resolve) => child.on("exit", resolve));
    return { url: JSON.parse(await firstLine(child)).url, ended };
}
