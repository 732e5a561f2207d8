// The gate's rules for opened, labeled and synchronize, as a service without a store has them. What it learns of people it
// keeps in memory, which spares it calls. What starts CI comes first.

const LABEL = "CICD";
const CHECK = "Awaiting CICD label";
const MAY_PUSH = new Set(["admin", "maintain", "write"]);
const MAY_LABEL = new Set([...MAY_PUSH, "triage"]);

const roles = new Map();

async function roleOf(octokit, where, username) {
  const key = `${where.owner}/${where.repo} ${username}`;
  if (!roles.has(key)) {
    const reply = await octokit.request("GET /repos/{owner}/{repo}/collaborators/{username}/permission", { ...where, username });
    roles.set(key, reply.data.role_name);
  }
  return roles.get(key);
}

function seen(payload) {
  const pull = payload.pull_request;
  return { pull, number: pull.number, sha: pull.head.sha,
    where: { owner: payload.repository.owner.login, repo: payload.repository.name },
    hasLabel: pull.labels.some((one) => one.name === LABEL) };
}

function startCi(octokit, { where, pull, number, sha }) {
  return octokit.request("POST /repos/{owner}/{repo}/dispatches", { ...where, event_type: "prgate-ci",
    client_payload: { repository: `${where.owner}/${where.repo}`, number, head_sha: sha, head_ref: pull.head.ref,
      base_ref: pull.base.ref, author: pull.user.login, key: sha } });
}

function tell(octokit, { where, sha }, state) {
  return octokit.request("POST /repos/{owner}/{repo}/statuses/{sha}", { ...where, sha, state, context: CHECK });
}

export async function opened(octokit, payload) {
  const one = seen(payload);
  if (one.pull.draft || !MAY_PUSH.has(await roleOf(octokit, one.where, one.pull.user.login)))
    return tell(octokit, one, "pending");
  await startCi(octokit, one);
  return octokit.request("POST /repos/{owner}/{repo}/issues/{issue_number}/labels",
    { ...one.where, issue_number: one.number, labels: [LABEL] });
}

export async function labeled(octokit, payload) {
  const one = seen(payload);
  if (payload.label.name !== LABEL || !MAY_LABEL.has(await roleOf(octokit, one.where, payload.sender.login)))
    return undefined;
  const shown = await octokit.request("GET /repos/{owner}/{repo}/pulls/{pull_number}", { ...one.where, pull_number: one.number });
  if (shown.data.head.sha !== one.sha) // the label was for a commit that is no longer the head
    return undefined;
  await startCi(octokit, one);
  return tell(octokit, one, "success");
}

export async function synchronize(octokit, payload) {
  const one = seen(payload);
  const isTrusted = MAY_PUSH.has(await roleOf(octokit, one.where, one.pull.user.login));
  if (isTrusted && one.hasLabel)
    return startCi(octokit, one);
  if (!isTrusted && one.hasLabel)
    await octokit.request("DELETE /repos/{owner}/{repo}/issues/{issue_number}/labels/{name}",
      { ...one.where, issue_number: one.number, name: LABEL });
  return tell(octokit, one, "pending");
}
