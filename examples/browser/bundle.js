// Run a bundle in a web page, with its tokenizer.json and model.onnx from a folder on the server.
// onnxruntime-web runs the graph on the CPU (WebAssembly, one thread), one text at a time.

import * as ort from "./vendor/ort.wasm.min.mjs";
import { Tokenizer } from "./vendor/tokenizers.min.mjs";

ort.env.wasm.wasmPaths = new URL("./vendor/", import.meta.url).href;
ort.env.wasm.numThreads = 1; // more threads need a page that is isolated by COOP and COEP headers

export class Bundle {
  constructor(manifest, tokenizer, session) {
    this.manifest = manifest;
    this.task = manifest.task;
    this.tokenizer = tokenizer;
    this.session = session;
  }

  // Read a bundle from the URL of its folder.
  static async open(url) {
    const file = async (name) => {
      const answer = await fetch(`${url}/${name}`);
      if (!answer.ok) throw new Error(`${url}/${name}: ${answer.status} ${answer.statusText}`);
      return answer;
    };
    const manifest = await (await file("manifest.json")).json();
    const single = manifest.task === "text-classification" && manifest.segments === 1;
    if (!single && manifest.task !== "similarity") {
      throw new Error(`this page answers text-classification of single texts and similarity, not ${manifest.task}`);
    }
    const tokenizer = new Tokenizer(await (await file("tokenizer.json")).json(), {});
    const graph = await (await file(manifest.runtime.graphs.onnxruntime)).arrayBuffer();
    const session = await ort.InferenceSession.create(graph, { executionProviders: ["wasm"] });
    return new Bundle(manifest, tokenizer, session);
  }

  // Token ids of a text with special tokens, truncated to the bundle's longest input.
  encode(text) {
    const whole = this.tokenizer.encode(text).ids;
    const room = this.manifest.max_length;
    if (whole.length <= room) return { ids: whole, truncated: false };
    const inside = this.tokenizer.encode(text, { add_special_tokens: false }).ids;
    const special = whole.length - inside.length;
    const before = whole.indexOf(inside[0]);
    const cut = inside.slice(0, room - special);
    return { ids: [...whole.slice(0, before), ...cut, ...whole.slice(before + inside.length)], truncated: true };
  }

  // Outputs of the graph for one text.
  async run(text) {
    const { ids, truncated } = this.encode(text);
    const tensor = (values) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, ids.length]);
    const known = {
      input_ids: () => tensor(ids),
      attention_mask: () => tensor(ids.map(() => 1)),
      token_type_ids: () => tensor(ids.map(() => 0)),
    };
    const feeds = Object.fromEntries(this.manifest.inputs.map((name) => [name, known[name]()]));
    const outputs = await this.session.run(feeds);
    return { ids, truncated, output: Array.from(outputs[this.session.outputNames[0]].data) };
  }

  // The label of a text, and the probability of every label.
  async classify(text) {
    const { output, truncated } = await this.run(text);
    const most = Math.max(...output);
    const shares = output.map((logit) => Math.exp(logit - most));
    const sum = shares.reduce((a, b) => a + b, 0);
    const scores = Object.fromEntries(this.manifest.labels.map((label, at) => [label, shares[at] / sum]));
    const label = this.manifest.labels[output.indexOf(most)];
    return { label, score: scores[label], scores, truncated };
  }

  // The embedding of a text.
  async embed(text) {
    const prompt = this.manifest.head.settings.default_prompt;
    const { output, truncated } = await this.run(prompt ? this.manifest.head.settings.prompts[prompt] + text : text);
    return { embedding: output, truncated };
  }
}

// The cosine of two vectors.
export function cosine(a, b) {
  const dot = (x, y) => x.reduce((sum, value, at) => sum + value * y[at], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
