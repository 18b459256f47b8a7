// What a model that this page cannot play takes and chooses among, by the names in its manifest.

const MOST_NAMES = 10;

// `names` holds tokens, action_meanings and spaces, as far as the manifest has them.
export function told(signature, names) {
  const { tokens, action_meanings: actions, spaces } = names;
  const isText = tokens?.length && signature.shape.length === 1;
  const takes = isText
    ? `takes texts of ${signature.shape[0]} tokens (${signature.dtype}), of ${tokens.length}: ${listed(tokens)}${padding(tokens, spaces)},`
    : `takes observations of shape [${signature.shape.join(", ")}] (${signature.dtype})`;
  const chosen = actions?.length === signature.actions ? `: ${listed(actions)}` : "";
  return `${takes} and chooses among ${signature.actions} actions${chosen}`;
}

function padding(tokens, spaces) {
  const place = (spaces?.padding ?? NaN) - (spaces?.category_start ?? 0);
  return place in tokens ? `, with ${tokens[place]} behind their end` : "";
}

// The first names of many, and the last.
function listed(names) {
  if (names.length <= MOST_NAMES) return names.join(", ");
  return `${names.slice(0, MOST_NAMES - 1).join(", ")}, … ${names.at(-1)}`;
}
