// RFC 6902's add, replace and remove, as STATE_DELTA uses them. Pure: the document given is not changed.

/** applyPatch({a: [1]}, [{op: "add", path: "/a/-", value: 2}]) → {a: [1, 2]} */
export function applyPatch(document, operations) {
  return operations.reduce((result, { op, path, value }) => {
    const keys = path.split("/").slice(1).map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
    return change(result, keys, op, value);
  }, document);
}

function change(node, [key, ...rest], op, value) {
  if (key === undefined) return value;
  const copy = Array.isArray(node) ? [...node] : { ...node };
  if (rest.length) copy[key] = change(copy[key], rest, op, value);
  else if (op === "remove") remove(copy, key);
  else if (op === "add" && Array.isArray(copy)) copy.splice(key === "-" ? copy.length : Number(key), 0, value);
  else copy[key] = value;
  return copy;
}

function remove(container, key) {
  if (Array.isArray(container)) container.splice(Number(key), 1);
  else delete container[key];
}
