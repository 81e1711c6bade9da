// The page of the server: a picture goes to /v1/segment/stream, and what comes back is drawn here.
const $ = id => document.getElementById(id);
const outputs = [["json", "JSON", "json"], ["overlay", "Overlay", "png"], ["labels", "Labels (PNG)", "png"], ["labeltiff", "Labels (TIFF)", "tif"],
  ["geojson", "GeoJSON", "geojson"], ["measurements", "Measurements (CSV)", "csv"], ["imagej", "ImageJ", "zip"], ["cellpose", "Cellpose", "npy"]];
const least = 0.05; // of the scores that are asked for; the slider chooses among them
let file = null, picture = null, size = null; // the file, its ImageBitmap if the browser reads it, and [width, height]
let frames = [], shown = [], hovered = -1, owner = null, hidden = new Set(), running = null, asked = "";

function say(text, wrong = false) {
  $("status").textContent = text;
  $("status").classList.toggle("wrong", wrong);
}

const headers = () => $("token").value ? { Authorization: "Bearer " + $("token").value } : {};

// The options of a request, as the server's URL has them.
function options(more) {
  const q = new URLSearchParams({ seed: $("seed").value || "0", steps: $("steps").value });
  if ($("model").value) q.set("model", $("model").value);
  for (const name of ["scale", "scales", "norm", "channel"]) if ($(name).value.trim()) q.set(name, $(name).value.trim());
  for (const [name, value] of Object.entries(more)) q.set(name, value);
  return q.toString();
}

async function problem(answer) {
  try { return (await answer.json()).error.message; } catch { return answer.status + " " + answer.statusText; }
}

async function loadModels() {
  const answer = await fetch("v1/models", { headers: headers() });
  if (!answer.ok) return say(await problem(answer), true);
  const { models } = await answer.json();
  $("model").replaceChildren(...models.map(m => new Option(`${m.name} (${m.classes.length === 1 ? m.classes[0] : m.classes.length + " classes"})`, m.name)));
}

async function take(blob) {
  running?.abort();
  file = blob; frames = []; picture = null; size = null; hidden.clear();
  $("step").max = $("step").value = 0;
  showClasses();
  try { picture = await createImageBitmap(blob, { imageOrientation: "from-image" }); } catch { /* a format that browsers do not show */ }
  if (picture) size = [picture.width, picture.height];
  $("run").disabled = false;
  say(`${blob.name || "A pasted picture"}: ${size ? size.join(" × ") + " pixels" : "this browser cannot show it; masks will be drawn without it"}.`);
  show();
}

// The counts of a mask in COCO's compressed run lengths.
function runs(text) {
  const counts = [];
  for (let i = 0; i < text.length;) {
    let value = 0, shift = 0, more = true;
    while (more) {
      const c = text.charCodeAt(i++) - 48;
      value |= (c & 31) << shift;
      shift += 5;
      more = (c & 32) !== 0;
      if (!more && c & 16 && shift < 32) value |= -1 << shift;
    }
    counts.push(counts.length > 2 ? value + counts[counts.length - 2] : value);
  }
  return counts;
}

// Calls f with the place of each pixel of a mask, x × height + y.
function eachPixel(instance, f) {
  let at = 0, on = false;
  for (const n of runs(instance.segmentation.counts)) {
    if (on) for (let i = at; i < at + n; i++) f(i);
    at += n;
    on = !on;
  }
}

function centre(instance) {
  if (!instance.centre) {
    const height = instance.segmentation.size[0];
    let x = 0, y = 0, n = 0;
    eachPixel(instance, i => { x += Math.floor(i / height); y += i % height; n++; });
    instance.centre = n ? [x / n, y / n] : [NaN, NaN];
  }
  return instance.centre;
}

const colour = i => { const h = i * 137.508 % 360, f = n => { const k = (n + h / 30) % 12; return 255 * (0.55 - 0.4 * Math.max(-1, Math.min(k - 3, 9 - k, 1))); }; return [f(0), f(8), f(4)]; };

// show draws the step of the scrubber with the classes and scores that are chosen.
function show() {
  const frame = frames[+$("step").value], all = frame?.instances ?? [];
  document.querySelector("output[for=step]").textContent = !frame || frame.last ? "result" : `${frame.step + 1} of ${frame.steps}`;
  shown = all.filter(v => v.score >= +$("score").value && !hidden.has(v.category));
  hovered = -1;
  paint();
  $("rows").replaceChildren(...shown.map((v, i) => {
    const row = document.createElement("tr"), [x, y] = centre(v);
    row.tabIndex = 0;
    for (const text of [i + 1, v.category, v.score.toFixed(2), v.area, (2 * Math.sqrt(v.area / Math.PI)).toFixed(1), `${x.toFixed(0)}, ${y.toFixed(0)}`]) row.insertCell().textContent = text;
    row.onmouseenter = row.onfocus = () => hover(i);
    row.onmouseleave = row.onblur = () => hover(-1);
    return row;
  }));
  $("canvas").setAttribute("aria-label", frame ? `${shown.length} instances are shown` : picture ? "The picture, not segmented yet" : "No picture yet");
}

function paint() {
  const canvas = $("canvas");
  if (!size) { canvas.width = 600; canvas.height = 400; owner = null; return; }
  const [width, height] = size;
  owner = new Int32Array(width * height).fill(-1);
  for (let i = shown.length - 1; i >= 0; i--) eachPixel(shown[i], p => { owner[p] = i; });
  draw();
}

function draw() {
  const canvas = $("canvas"), c = canvas.getContext("2d", { willReadFrequently: true }), [width, height] = size;
  canvas.width = width; canvas.height = height;
  if (picture) c.drawImage(picture, 0, 0); else { c.fillStyle = "#222"; c.fillRect(0, 0, width, height); }
  const image = c.getImageData(0, 0, width, height), d = image.data;
  for (let x = 0; x < width; x++) for (let y = 0; y < height; y++) {
    const p = x * height + y, i = owner[p];
    if (i < 0) continue;
    const edge = x === 0 || y === 0 || x === width - 1 || y === height - 1 || owner[p - 1] !== i || owner[p + 1] !== i || owner[p - height] !== i || owner[p + height] !== i;
    const rgb = colour(i), a = i === hovered ? 0.75 : edge ? 1 : 0.35, at = 4 * (y * width + x);
    for (let k = 0; k < 3; k++) d[at + k] = a * rgb[k] + (1 - a) * d[at + k];
  }
  c.putImageData(image, 0, 0);
}

function hover(i) {
  if (i === hovered) return;
  $("rows").children[hovered]?.classList.remove("on");
  hovered = i;
  $("rows").children[i]?.classList.add("on");
  if (size) draw();
}

function showClasses() {
  const names = [...new Set(frames.flatMap(f => f.instances.map(v => v.category)))].sort();
  $("classes").hidden = names.length < 1;
  $("classes").replaceChildren($("classes").firstElementChild, ...names.map(name => {
    const label = document.createElement("label"), box = document.createElement("input");
    box.type = "checkbox";
    box.checked = !hidden.has(name);
    box.onchange = () => { box.checked ? hidden.delete(name) : hidden.add(name); show(); };
    label.append(box, name);
    return label;
  }));
}

function receive(event, data) {
  if (event === "error") throw new Error(data.error.message);
  size = event === "result" ? [data.width, data.height] : size;
  frames.push({ ...data, last: event === "result" });
  const slider = $("step"), atEnd = slider.value === slider.max;
  slider.max = frames.length - 1;
  if (atEnd || event === "result") slider.value = slider.max;
  if (event === "step") say(`Step ${data.step + 1} of ${data.steps}`);
  showClasses();
  show();
}

async function run() {
  running?.abort();
  const mine = running = new AbortController();
  frames = [];
  $("step").max = $("step").value = 0;
  $("step").disabled = $("score").disabled = false;
  $("downloads").querySelectorAll("button").forEach(b => { b.disabled = true; });
  say("Waiting for the model …");
  try {
    asked = options({});
    const answer = await fetch("v1/segment/stream?" + options({ score: least }), { method: "POST", body: file, headers: { ...headers(), "Content-Type": "application/octet-stream" }, signal: mine.signal });
    if (!answer.ok) throw new Error(await problem(answer));
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ""; ;) {
      const { done, value } = await reader.read();
      if (done) break;
      text += value;
      for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
        const [name, data] = text.slice(0, end).split("\n");
        receive(name.slice("event: ".length), JSON.parse(data.slice("data: ".length)));
      }
    }
    const last = frames.at(-1);
    if (!last?.last) throw new Error("The connection ended before the result.");
    say([`${last.instances.length} instances with a score from ${least}.`, ...(last.notes ?? []), ...(last.warnings ?? [])].join(" "));
    $("downloads").querySelectorAll("button").forEach(b => { b.disabled = false; });
  } catch (err) {
    if (!mine.signal.aborted) say(err.message, true);
  }
}

// download asks for the result of the last run in another form, with the score of the slider.
async function download(output, ending) {
  say("Making the file …");
  const q = new URLSearchParams(asked);
  q.set("score", $("score").value);
  q.set("output", output);
  const answer = await fetch("v1/segment?" + q, { method: "POST", body: file, headers: { ...headers(), "Content-Type": "application/octet-stream" } });
  if (!answer.ok) return say(await problem(answer), true);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = `${(file.name || "picture").replace(/\.[^.]*$/, "")}_${output}.${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  say(answer.headers.get("X-Warning") ?? "The file is saved. It has all classes.");
}

$("form").onsubmit = e => { e.preventDefault(); if (file) run(); };
$("file").onchange = e => { if (e.target.files[0]) take(e.target.files[0]); };
$("token").onchange = () => loadModels().catch(err => say(err.message, true));
$("score").oninput = show;
$("step").oninput = show;
for (const id of ["score", "steps"]) {
  const write = () => { document.querySelector(`output[for=${id}]`).textContent = id === "score" ? (+$(id).value).toFixed(2) : $(id).value; };
  $(id).addEventListener("input", write);
  write();
}
$("theme").onclick = () => {
  const dark = document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  document.documentElement.dataset.theme = dark === "dark" ? "light" : "dark";
};
$("canvas").onmousemove = e => {
  if (!owner) return;
  const r = e.target.getBoundingClientRect(), [width, height] = size;
  const x = Math.floor((e.clientX - r.left) / r.width * width), y = Math.floor((e.clientY - r.top) / r.height * height);
  hover(x >= 0 && y >= 0 && x < width && y < height ? owner[x * height + y] : -1);
};
$("canvas").onmouseleave = () => hover(-1);
addEventListener("paste", e => { const f = [...e.clipboardData.files][0]; if (f) take(f); });
addEventListener("dragover", e => { e.preventDefault(); $("stage").classList.add("over"); });
addEventListener("dragleave", e => { if (!e.relatedTarget) $("stage").classList.remove("over"); });
addEventListener("drop", e => { e.preventDefault(); $("stage").classList.remove("over"); if (e.dataTransfer.files[0]) take(e.dataTransfer.files[0]); });
addEventListener("keydown", e => { if (e.key === "Escape") running?.abort(), hover(-1); });
for (const [output, text, ending] of outputs) {
  const b = document.createElement("button");
  b.type = "button"; b.textContent = text; b.disabled = true;
  b.onclick = () => download(output, ending).catch(err => say(err.message, true));
  $("downloads").append(b);
}
loadModels().catch(err => say(err.message, true));
