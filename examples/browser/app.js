// The page: one text per line. It shows labels with their probabilities, or compares every text with the first one.

import { Bundle, cosine } from "./bundle.js";

const texts = document.getElementById("texts");
const rows = document.getElementById("answers");
const status = document.getElementById("status");
const button = document.querySelector("button");

function row(cells, share) {
  const line = rows.insertRow();
  for (const cell of cells) line.insertCell().textContent = cell;
  const bar = line.insertCell().appendChild(document.createElement("progress"));
  bar.value = Math.max(share, 0);
}

async function answer(bundle) {
  const given = texts.value.split("\n").filter((text) => text.trim());
  const before = performance.now();
  const found = [];
  for (const text of given) found.push(await (bundle.task === "similarity" ? bundle.embed(text) : bundle.classify(text)));
  const each = (performance.now() - before) / Math.max(given.length, 1);
  rows.replaceChildren();
  found.forEach(({ label, score, embedding }, at) => {
    const share = embedding ? cosine(found[0].embedding, embedding) : score;
    row(embedding ? [given[at], share.toFixed(4)] : [given[at], label, share.toFixed(4)], share);
  });
  status.textContent = `${given.length} texts, ${each.toFixed(1)} ms each`;
}

try {
  const bundle = await Bundle.open("./bundle");
  document.getElementById("name").textContent = `${bundle.manifest.name}: ${bundle.task}, ${bundle.manifest.precision}`;
  button.disabled = false;
  button.addEventListener("click", () => answer(bundle));
  await answer(bundle);
} catch (error) {
  status.textContent = error.message;
}
document.body.dataset.ready = "true";
