/* The page "In the browser": starts Python, sends it what the reader chooses, and draws its answers. */
(() => {
const page = document.getElementById("playground");
const part = (id) => document.getElementById(id);
const files = new URL(".", document.currentScript.src).href;
const BLUE = "#0072B2", VERMILION = "#D55E00", YELLOW = "#E69F00"; // those of tinynet.viz
// The landscape: from the smallest loss to the largest.
const LIGHT = ["f7fbff", "deebf7", "c6dbef", "9ecae1", "6baed6", "4292c6", "2171b5"];
const DARK = ["44688a", "37597a", "2b4a69", "203c58", "172f47", "102337", "0a1826"];
const STEPS_PER_SECOND = 20, MOST_STEPS = 3000, BANDS = 24;
let ask = null; // sends a request to Python, once it is loaded
let shown = {}; // the last answers, joined
let points = "", training = 0;

const short = (number) => Number(number.toPrecision(3)).toString();
const rate = () => Number((10 ** part("rate").value).toPrecision(2));
const settings = () => ({rate: rate(), optimizer: part("optimizer").value, noise: Number(part("noise").value)});

function say(text, wrong = false) {
  part("status").textContent = text;
  part("status").classList.toggle("wrong", wrong);
}

/* ---- Python ---- */

function script(src, integrity) {
  return new Promise((resolve, reject) => {
    const made = Object.assign(document.createElement("script"), {src, integrity, crossOrigin: "anonymous"});
    made.onload = resolve;
    made.onerror = () => reject(new Error("it could not be loaded from " + new URL(src).host));
    document.head.append(made);
  });
}

async function file(name) {
  const answer = await fetch(files + name);
  if (!answer.ok) throw new Error(`the server has no file ${name}`);
  return answer;
}

async function start() {
  if (location.protocol === "file:")
    return say("A browser does not load this page from a folder. Serve it, as is written below.", true);
  part("load").disabled = true;
  try {
    say("Loading Python ...");
    const loader = new URL(page.dataset.loader, location.href).href;
    await script(loader, page.dataset.integrity);
    const python = await loadPyodide({indexURL: new URL(".", loader).href});
    say("Loading NumPy and tinynet ...");
    const [archive, source] = await Promise.all([file("tinynet.zip"), file("playground.py"), python.loadPackage("numpy")]);
    python.FS.writeFile("/tinynet.zip", new Uint8Array(await archive.arrayBuffer()));
    python.runPython("import shutil, sys; shutil.unpack_archive('/tinynet.zip', '/tinynet'); sys.path.insert(0, '/tinynet')");
    python.runPython(await source.text());
    const respond = python.globals.get("respond");
    ask = (action, more) => JSON.parse(respond(JSON.stringify({do: action, ...more})));
  } catch (error) {
    part("load").disabled = false;
    return say(`Python did not start: ${error.message}. Check the connection, and try again.`, true);
  }
  part("load").hidden = true;
  part("panes").hidden = false;
  for (const id of ["train", "one", "restart", "use", "back", "copy"]) part(id).disabled = false;
  restart();
  part("train").focus();
}

/* Send a request, and show the answer; return whether it was carried out. */
function request(action, more) {
  let answer;
  try {
    answer = ask(action, more);
  } catch (error) {
    answer = {error: "Python stopped with an error: " + error.message.trim().split("\n").pop()};
  }
  if (answer.error) {
    pause();
    say(answer.error, true);
    return false;
  }
  const diverged = answer.loss === undefined;
  shown = {...shown, ...answer};
  show(diverged);
  return true;
}

/* ---- what the reader does ---- */

function restart(wanted = points) {
  pause();
  if (request("start", {points: wanted, ...settings()})) points = wanted;
  part("noise").disabled = points !== "";
}

function pause() {
  clearInterval(training);
  training = 0;
  part("train").textContent = "Train";
}

function train() {
  if (training) return pause();
  part("train").textContent = "Pause";
  training = setInterval(() => {
    if (shown.path.length > MOST_STEPS) return pause();
    request("step", {count: 1});
  }, 1000 / STEPS_PER_SECOND);
}

function change(event) {
  part("rate-shown").value = rate();
  part("noise-shown").value = part("noise").value;
  if (ask && (event.type === "change" || event.target !== part("noise"))) request("set", settings());
}

/* ---- what the reader sees ---- */

function show(diverged) {
  const [w, b] = shown.path.at(-1), steps = shown.path.length - 1;
  const limit = `Plain SGD diverges above the rate ${short(shown.limit)}.`;
  if (diverged) {
    pause();
    say(`The training has diverged. ${limit} Choose a lower rate, and press "Start again".`, true);
  } else {
    say(`Step ${steps}: y = ${short(w)} x + ${short(b)}, loss ${short(shown.loss)}. ${limit}`);
  }
  part("step").textContent = shown.step;
  part("program").textContent = shown.program;
  part("line").ariaLabel = `${shown.x.length} points and the line y = ${short(w)} x + ${short(b)}`;
  part("loss").ariaLabel = `The loss, and the path of the weights after ${steps} steps, at ${short(w)}, ${short(b)}`;
  draw();
}

function colors() {
  const style = getComputedStyle(document.body), theme = document.body.dataset.theme;
  const dark = theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  return {dark, ink: style.getPropertyValue("--color-foreground-primary"), grey: style.getPropertyValue("--color-foreground-muted")};
}

/* Return a canvas's context, and functions from numbers to places; draw the axes. */
function axes(canvas, [left, right, bottom, top], labels, look, background) {
  const scale = window.devicePixelRatio || 1, {clientWidth: wide, clientHeight: high} = canvas;
  Object.assign(canvas, {width: wide * scale, height: high * scale});
  const pen = canvas.getContext("2d"), box = {x: 44, y: 8, w: wide - 56, h: high - 48};
  pen.scale(scale, scale);
  const X = (x) => box.x + (x - left) / (right - left) * box.w, Y = (y) => box.y + (top - y) / (top - bottom) * box.h;
  if (background) background(pen, box);
  Object.assign(pen, {fillStyle: look.ink, strokeStyle: look.grey, font: "12px sans-serif", lineWidth: 1});
  pen.strokeRect(box.x, box.y, box.w, box.h);
  pen.textAlign = "center";
  for (const x of ticks(left, right, box.w / 70)) pen.fillText(short(x), X(x), box.y + box.h + 16);
  pen.fillText(labels[0], box.x + box.w / 2, box.y + box.h + 34);
  pen.textAlign = "right";
  for (const y of ticks(bottom, top, box.h / 50)) pen.fillText(short(y), box.x - 5, Y(y) + 4);
  pen.save();
  pen.translate(11, box.y + box.h / 2);
  pen.rotate(-Math.PI / 2);
  pen.textAlign = "center";
  pen.fillText(labels[1], 0, 0);
  pen.restore();
  pen.beginPath();
  pen.rect(box.x, box.y, box.w, box.h);
  pen.clip();
  return {pen, X, Y};
}

function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const size = power * [1, 2, 5, 10].find((step) => step * power >= rough), found = [];
  for (let i = Math.ceil(low / size); i * size <= high; i++) found.push(i * size);
  return found;
}

function stroke(pen, places, color, width) {
  pen.beginPath();
  for (const [x, y] of places) pen.lineTo(x, y);
  Object.assign(pen, {strokeStyle: color, lineWidth: width, lineJoin: "round"});
  pen.stroke();
}

function dot(pen, x, y, radius, fill, edge) {
  pen.beginPath();
  pen.arc(x, y, radius, 0, 7);
  Object.assign(pen, {fillStyle: fill, strokeStyle: edge, lineWidth: 2});
  pen.fill();
  if (edge) pen.stroke();
}

function draw() {
  if (!shown.x) return;
  const look = colors(), around = (a) => {
    const low = Math.min(...a), high = Math.max(...a), pad = 0.15 * (high - low) || 1;
    return [low - pad, high + pad];
  };
  const [left, right] = around(shown.x), [w, b] = shown.path.at(-1);
  const line = axes(part("line"), [left, right, ...around(shown.y)], ["x", "y"], look);
  shown.x.forEach((x, i) => stroke(line.pen, [[line.X(x), line.Y(shown.y[i])], [line.X(x), line.Y(w * x + b)]], look.grey, 0.5));
  shown.x.forEach((x, i) => dot(line.pen, line.X(x), line.Y(shown.y[i]), 3.5, look.dark ? "#56B4E9" : BLUE));
  stroke(line.pen, [left, right].map((x) => [line.X(x), line.Y(w * x + b)]), VERMILION, 2.5);
  const loss = axes(part("loss"), shown.extent, ["weight w", "bias b"], look, (pen, box) => pen.drawImage(landscape(look), box.x, box.y, box.w, box.h));
  const path = shown.path.map(([x, y]) => [loss.X(x), loss.Y(y)]);
  if (shown.minimum) {
    Object.assign(loss.pen, {font: "24px sans-serif", textAlign: "center", fillStyle: YELLOW, strokeStyle: "#222222", lineWidth: 2});
    for (const how of ["strokeText", "fillText"]) loss.pen[how]("★", loss.X(shown.minimum[0]), loss.Y(shown.minimum[1]) + 8);
  }
  stroke(loss.pen, path, "white", 4);
  stroke(loss.pen, path, VERMILION, 2);
  dot(loss.pen, ...path[0], 4.5, "white", VERMILION);
  dot(loss.pen, ...path.at(-1), 4.5, VERMILION, "white");
}

/* Return a picture of the loss: bands of equal ratio, interpolated between the points of the grid. */
function landscape({dark}) {
  const key = [dark, shown.heights];
  if (landscape.made && key.every((part, i) => part === landscape.key[i])) return landscape.made;
  const size = 400, last = shown.heights.length - 1, stops = dark ? DARK : LIGHT;
  const made = Object.assign(document.createElement("canvas"), {width: size, height: size}), pen = made.getContext("2d");
  const image = pen.createImageData(size, size);
  for (let row = 0, at = 0; row < size; row++)
    for (let column = 0; column < size; column++) {
      const x = column / (size - 1) * last, y = (1 - row / (size - 1)) * last;
      const i = Math.min(Math.floor(y), last - 1), j = Math.min(Math.floor(x), last - 1), u = x - j, v = y - i;
      const mix = (line) => line[j] * (1 - u) + line[j + 1] * u;
      const height = mix(shown.heights[i]) * (1 - v) + mix(shown.heights[i + 1]) * v;
      const place = Math.min(Math.floor(height * BANDS) / (BANDS - 1), 1) * (stops.length - 1);
      const k = Math.min(Math.floor(place), stops.length - 2);
      for (const digit of [0, 2, 4]) {
        const [a, z] = [stops[k], stops[k + 1]].map((stop) => parseInt(stop.slice(digit, digit + 2), 16));
        image.data[at++] = a + (z - a) * (place - k);
      }
      image.data[at++] = 255;
    }
  pen.putImageData(image, 0, 0);
  Object.assign(landscape, {key, made});
  return made;
}

part("load").onclick = start;
part("train").onclick = train;
part("one").onclick = () => { pause(); request("step", {count: 1}); };
part("restart").onclick = () => restart();
part("use").onclick = () => restart(part("points").value);
part("back").onclick = () => restart("");
part("copy").onclick = async () => { await navigator.clipboard.writeText(shown.program); say("The program is copied."); };
part("settings").oninput = part("settings").onchange = change; // noise, a new landscape, when it is let go
part("settings").onsubmit = (event) => event.preventDefault();
new ResizeObserver(draw).observe(page);
new MutationObserver(draw).observe(document.body, {attributes: true});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
