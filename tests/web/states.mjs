// The pull requests of octo/states, by number, as states.c makes them; and what each page has to say comes next.
const LABEL = /CI starts when somebody with at least triage permission sets the label CICD/;
const RERUN = /Nothing at the gate[^]*re-run/;

export const STATES = [
    ["nothing decided yet", /Webhooks to decide: 2, actions to do: 0\. GitHub's answers did not agree yet\. The next attempt is at [^]*Nothing was decided for the present commit yet/],
    ["the author is not trusted", LABEL],
    ["the label is gone", LABEL],
    ["a draft", /marked as ready for review, or[^]*Who can do it: bob, or anybody with triage/],
    ["conflicts", /once the conflicts[^]*Who can do it: bob, or whoever may push to the branch/],
    ["an old label", /has looked at the present one, takes the label CICD off and sets it again/],
    ["labelled by a stranger", /That approves nothing/],
    ["pushed by a stranger", /a commit that somebody else pushed needs an approval/],
    ["pushed by nobody knows whom", /a commit that nobody knows who pushed needs an approval/],
    ["labelled too soon", /A label counts from \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC on/],
    ["over the budget", /Its turn is at \d{4}-\d\d-\d\d \d\d:\d\d UTC at the latest\.\s+Who can do it: prgate, by itself/],
    ["refused by CI", /The CI system refused to start\.[^]*whoever runs the CI system, then anybody with triage/],
    ["about to start", /Webhooks to decide: 0, actions to do: 1\. A process is at it\.[^]*CI is about to be started/],
    ["being started", /Attempts that failed in a row: 3\. The next attempt is at [^]*CI is being started for this commit/],
    ["started", /Nothing at the gate: CI was started for this commit/],
    ["nobody knows whether it started", /See whether CI runs/],
    ["cancelled", /CI for this commit was cancelled\. It runs again when somebody asks for a re-run/],
    ["started again", /Nothing at the gate/],
    ["a re-run that CI refused", RERUN],
    ["a re-run that a stranger asked for", RERUN],
    ["a re-run over the budget", /Nothing at the gate[^]*ask again from \d{4}-/],
    ["given up", /Given up: starting CI\. Once the cause is mended, prgatectl dead retry octo\/states#22 3/],
    ["damaged entries", /given up cannot be read[^]*Of these 2 cannot be read/],
    ["merging, and CI starts", /CI is being started for the merge queue's commit [0-9a-f]{10}\./],
    ["merging, and CI runs", /Nothing at the gate/],
    ["merging, and nobody knows", /See whether CI runs for the merge queue's commit/],
    ["merging, and CI refused", /refused to start for the merge queue's commit[^]*whoever may merge/],
    ["by the operator", /Nothing at the gate/],
    ["trusted", /Nothing at the gate/],
    ["closed", /Nothing: the pull request is closed/],
];

export const GONE = /no section in the configuration any more[^]*prgate's operator/;
