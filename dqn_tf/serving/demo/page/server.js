// One model of the server that this page came from, by TF Serving's REST interface.

const UNKNOWN = -1;
const KEYS = ["env", "config", "tokens", "tokenizer", "action_meanings", "spaces"];

export class Model {
  constructor(name) {
    this.name = name;
    this.path = `/v1/models/${encodeURIComponent(name)}`;
  }

  // The newest version that answers, as a string; null where none does.
  async newestVersion() {
    const found = await ask(this.path);
    const available = found.model_version_status.filter((one) => one.state === "AVAILABLE").map((one) => one.version);
    // Versions are int64: compared as numbers of any size, kept as text.
    return available.reduce((best, version) => (best === null || BigInt(version) > BigInt(best) ? version : best), null);
  }

  // What a version's serving_default takes and gives: {dtype, shape, actions, names}, or null where it is none of dqn_tf's. `names` are
  // those of all its signatures.
  async signature(version) {
    const found = await ask(`${this.path}/versions/${version}/metadata`);
    const signatures = found.metadata.signature_def.signature_def;
    const signature = signatures.serving_default;
    const { observation, ...others } = signature?.inputs ?? {};
    const values = signature?.outputs?.q_values;
    if (!observation || Object.keys(others).length || !values || !signature.outputs.action) return null;
    const [shape, actions] = [sizes(observation).slice(1), sizes(values).at(-1) ?? UNKNOWN];
    return { dtype: observation.dtype, shape, actions, names: Object.keys(signatures) };
  }

  // The answers of that version for a list of observations: [{action, q_values}]. The version is in the address, so it is known who answers.
  async predict(version, observations, signature = "serving_default") {
    const body = JSON.stringify({ signature_name: signature, instances: observations });
    const reply = await ask(this.address(version), { method: "POST", body });
    return reply.predictions;
  }

  // What the manifest names, of KEYS.
  async names(version) {
    try {
      const body = JSON.stringify({ signature_name: "metadata", instances: KEYS });
      const reply = await ask(this.address(version), { method: "POST", body });
      return Object.fromEntries(KEYS.map((key, place) => [key, JSON.parse(reply.predictions[place] || "null")]));
    } catch {
      return {};
    }
  }

  address(version) {
    return `${this.path}/versions/${version}:predict`;
  }
}

// Names of the models that the server was started with.
export async function modelNames() {
  return (await ask("/page/models.json")).models;
}

// A file of sentences or of a graph that comes with dqn_tf; null where there is none of that name.
export async function packageData(name) {
  const reply = await fetch(`/page/data/${encodeURIComponent(name)}`);
  return reply.ok ? reply.json() : null;
}

// `status` is the HTTP status, 0 where the server could not be reached.
export class ServerError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function ask(path, options = {}) {
  let response;
  let body = null;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
    body = await response.json();
  } catch {
    if (!response) throw new ServerError("The server cannot be reached.", 0);
  }
  if (!response.ok || body === null) throw new ServerError(body?.error ?? `${path} gave status ${response.status}.`, response.status);
  return body;
}

function sizes(tensor) {
  return (tensor.tensor_shape?.dim ?? []).map((one) => Number(one.size));
}
