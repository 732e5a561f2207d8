// What docs/status-json.md promises of JSON, and whether a reply keeps it.

function rows(text) {
    return [...text.matchAll(/^\| `([^`]+)` \| ([^|]+) \|/gm)].map(([, field, type]) => ({
        field, optional: type.includes("optional"), types: type.replace(", optional", "").trim().split(" or "),
    }));
}

// {overview, pull, all}: maps from a field to its row, and the names of all rows.
export function contract(text) {
    const part = (heading) => rows(text.split(`\n## ${heading}\n`)[1].split("\n## ")[0]);
    const list = part("/status.json"), each = part("A pull request"), one = part("/status/OWNER/REPO/N.json");
    const inList = each.map((row) => ({ ...row, field: `pull_requests[].${row.field}` }));
    return {
        overview: new Map([...list, ...inList].map((row) => [row.field, row])),
        pull: new Map([...each, ...one].map((row) => [row.field, row])),
        all: [...list.map((row) => `list ${row.field}`), ...each.map((row) => `one ${row.field}`), ...one.map((row) => `one ${row.field}`)],
    };
}

function typeOf(value) {
    if (value === null)
        return "null";
    if (Array.isArray(value))
        return "list";
    return typeof value === "string" ? "text" : typeof value;
}

const FREE = ["ledger[].facts"]; // its members depend on the event

function look(map, prefix, value, found) {
    for (const [name, row] of map) {
        const rest = name.slice(prefix.length);
        if (name.startsWith(prefix) && /^\w+$/.test(rest) && !row.optional && !(rest in value))
            found.wrong.push(`${name} is missing`);
    }
    for (const [name, member] of Object.entries(value)) {
        const field = prefix + name, row = map.get(field);
        if (!row || !row.types.includes(typeOf(member))) {
            found.wrong.push(row ? `${field} is ${typeOf(member)}` : `${field} is not documented`);
            continue;
        }
        found.fields.add(field);
        if (typeOf(member) === "object" && !FREE.includes(field))
            look(map, `${field}.`, member, found);
        for (const item of Array.isArray(member) ? member : [])
            if (typeOf(item) === "object")
                look(map, `${field}[].`, item, found);
    }
}

// What is wrong with a reply, each once; adds to `seen` the names of the fields that it has.
export function breaches(rules, path, reply, seen) {
    const isList = path.startsWith("/status.json"), found = { wrong: [], fields: new Set() };
    look(isList ? rules.overview : rules.pull, "", reply, found);
    for (const field of found.fields)
        seen.add(`${isList ? "list" : "one"} ${field}`);
    return [...new Set(found.wrong)].map((what) => `${path}: ${what}`);
}
