/* <okla-spin>: a vehicle that turns by drag, touch, wheel and keys.

   <script src="360-viewer/okla-spin.js" defer></script>
   <okla-spin src="360-viewer/spin.json" autoplay></okla-spin>

   Attributes: src (names in spin.json are relative to it), frame (from 0), autoplay. A child
   <script type="application/json"> saves the fetch, which a page from a folder may not do.
   Script: frame, playing, play(), pause(); texts in customElements.get("okla-spin").words.
   Events: okla-spin-ready, okla-spin-frame, okla-spin-hotspot, okla-spin-error.
   CSS: --okla-spin-accent, --okla-spin-background. Needs no exception in a strict CSP. */
(() => {
"use strict"; // the body of a wrapper around a whole file is not indented
if (customElements.get("okla-spin")) return;

const TURN_SECONDS = 6; // of autoplay
const AT_ONCE = 4; // downloads
const MOST_ZOOM = 5;
const GLIDE_SECONDS = 0.28; // time constant of inertia
const SLOWEST = 2; // frames a second at which gliding ends

const sheet = new CSSStyleSheet();
sheet.replaceSync(`
:host { all: initial; display: block; position: relative; overflow: hidden; contain: content;
  aspect-ratio: 4 / 3; background: var(--okla-spin-background, #eceeef); color: #16191d;
  font: 500 14px/1.4 system-ui, sans-serif; user-select: none; -webkit-user-select: none;
  --accent: var(--okla-spin-accent, #0b66d8); }
:host(:fullscreen) { width: 100vw; height: 100vh; aspect-ratio: auto !important; }
:host([hidden]), [hidden] { display: none !important; }
.stage, canvas, .dots { position: absolute; inset: 0; width: 100%; height: 100%; }
.stage { cursor: grab; outline: 0; touch-action: pan-y; }
.zoomed { cursor: move; touch-action: none; }
.stage:focus-visible::after { content: ""; position: absolute; inset: 0; border: 3px solid var(--accent); }
.dots { pointer-events: none; }
button { all: unset; width: 44px; height: 44px; display: grid; place-items: center; cursor: pointer;
  border-radius: 22px; pointer-events: auto; }
button:focus-visible { outline: 3px solid var(--accent); outline-offset: -3px; }
.dot { position: absolute; left: -22px; top: -22px; }
.dot::before { content: ""; width: 12px; height: 12px; border: 4px solid var(--accent); border-radius: 50%;
  background: #fff; box-shadow: 0 0 0 6px #fff9, 0 2px 12px #0006; }
.bar, .hint, .note, .card { position: absolute; display: flex; align-items: center; border-radius: 22px;
  background: #fffd; backdrop-filter: blur(14px); box-shadow: 0 1px 2px #0001, 0 6px 20px #0002; }
.bar { right: 12px; bottom: 14px; }
.bar button:hover { background: #0001; }
.hint { left: 12px; bottom: 14px; height: 44px; padding: 0 16px 0 12px; gap: 8px; pointer-events: none; }
.track { position: absolute; inset: auto 0 0; height: 3px; background: #0001; transform-origin: 0 0; }
.track b { position: absolute; height: 3px; background: var(--accent); }
.note { left: 12px; top: 12px; padding: 8px 16px; }
.card { left: 12px; top: 12px; width: min(300px, 100% - 24px); flex-direction: column; overflow: hidden; }
.card img { width: 100%; aspect-ratio: 4 / 3; object-fit: cover; }
.card p { margin: 10px; }
.card button { position: absolute; right: 0; top: 0; }
.card svg { padding: 6px; border-radius: 50%; background: #fffd; }
svg { width: 20px; height: 20px; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round;
  stroke-linejoin: round; }`);

const PLAY = "M8 5.5v13l10.5-6.5z", PAUSE = "M9 5.5v13M15 5.5v13";
const icon = (path) => `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${path}"/></svg>`;
const tool = (name, path) => `<button type="button" id="${name}">${icon(path)}</button>`;
const template = document.createElement("template");
template.innerHTML = `
<div class="stage" role="slider" tabindex="0" aria-valuemin="1"><canvas></canvas></div>
<div class="track"><b></b></div><div class="dots"></div>
<div class="hint" aria-hidden="true">${icon("M6 15c-5-3-2-7 6-7s11 4 6 7-6 2-7 2m3-3-3 3 3 3")}<span></span></div>
<div class="bar" role="toolbar">${tool("play", PLAY)}${tool("out", "M5 12h14")}
${tool("in", "M5 12h14M12 5v14")}${tool("full", "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5")}</div>
<div class="card" role="dialog" hidden><img><p></p>${tool("close", "M6 6l12 12M18 6 6 18")}</div>
<div class="note" role="status" hidden></div>`;

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const modulo = (value, n) => ((value % n) + n) % n;
const stillness = matchMedia("(prefers-reduced-motion: reduce)");

class OklaSpin extends HTMLElement {
  static observedAttributes = ["src", "frame", "autoplay"];
  static words = {
    label: (name) => `360\u00b0 view of ${name}`,
    views: ["front", "front left", "left side", "rear left", "rear", "rear right", "right side", "front right"],
    hint: "Drag to turn", tools: "View", play: "Turn by itself", pause: "Stop turning", in: "Zoom in",
    out: "Zoom out", full: "Full screen", close: "Close", failed: "The 360\u00b0 view could not be loaded.",
    missing: (few, all) => `${few} of ${all} pictures could not be loaded.`,
  };

  #root = this.attachShadow({ mode: "open" });
  #data = null; #base = ""; #images = []; #queue = []; #missing = new Set(); #loading = 0; #dots = [];
  #position = 0; #frame = -1; #drawn = -1; #bitmap = null; #ticket = 0; #painted = 0; // of which frame we are
  #zoom = 1; #centre = [0.5, 0.5]; #size = [0, 0]; // what of the picture is seen
  #speed = 0; #playing = false; #waiting = false; #visible = false; #then = 0; #clock = 0; // motion
  #pointers = new Map(); #trail = []; #pinch = null; #opener = null; #life = null;

  constructor() {
    super();
    this.#root.adoptedStyleSheets = [sheet];
    this.#root.append(template.content.cloneNode(true));
  }

  connectedCallback() {
    const words = OklaSpin.words;
    for (const name of ["play", "in", "out", "full", "close"]) this.#name(name, words[name]);
    this.#$(".hint span").textContent = words.hint;
    this.#$(".bar").ariaLabel = words.tools;
    this.#$("#full").hidden = !document.fullscreenEnabled;
    this.#life = new AbortController();
    const { signal } = this.#life;
    const on = (target, type, heard) => target.addEventListener(type, heard, { signal, passive: false });
    const stage = this.#$(".stage");
    on(stage, "pointerdown", (event) => this.#down(event));
    on(stage, "pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) on(stage, end, (event) => this.#up(event));
    on(stage, "wheel", (event) => this.#wheel(event));
    on(stage, "dblclick", (event) => this.#zoomTo(this.#zoom > 1 ? 1 : 2.5, this.#at(event)));
    on(this.#root, "keydown", (event) => this.#key(event));
    on(this.#root, "click", (event) => this.#tool(event.target.closest("button")?.id));
    on(stillness, "change", () => stillness.matches && this.#settle());
    on(window, "resize", () => this.#resize());
    const resized = new ResizeObserver(() => this.#resize());
    const seen = new IntersectionObserver(([entry]) => {
      this.#visible = entry.isIntersecting;
      if (this.#data && this.#visible) this.#load();
      this.#wake();
    });
    for (const observer of [resized, seen]) {
      observer.observe(this);
      on(signal, "abort", () => observer.disconnect());
    }
    this.#open();
  }

  disconnectedCallback() {
    this.#settle();
    this.#life.abort();
    this.#pointers.clear();
    cancelAnimationFrame(this.#clock);
    this.#clock = 0;
  }

  attributeChangedCallback(name, before, now) {
    if (!this.#life || before === now) return; // before connecting, which reads them
    if (name === "src") this.#open();
    else if (name === "frame") this.frame = now;
    else this.#autoplay();
  }

  get playing() { return this.#playing; }
  get frame() { return this.#frame; }
  set frame(value) {
    if (this.#data && Number.isInteger(+value)) this.#step(value - this.#frame);
  }

  play() {
    if (!this.#data) return;
    this.#zoomTo(1);
    this.#settle(true);
    this.#wake();
  }
  pause() { this.#settle(); }

  // --- data and pictures

  async #open() {
    const { signal } = this.#life;
    const src = this.getAttribute("src");
    this.#base = new URL(src ?? "", document.baseURI).href;
    this.#say("");
    try {
      if (!src && document.readyState === "loading") {
        await new Promise((parsed) => document.addEventListener("DOMContentLoaded", parsed, { once: true }));
      }
      const inline = this.querySelector("script");
      if (!inline && !src) return;
      const data = inline ? JSON.parse(inline.textContent) : await fetched(this.#base, signal);
      if (!signal.aborted && src === this.getAttribute("src")) this.#begin(data);
    } catch (error) {
      if (!signal.aborted) this.#say(OklaSpin.words.failed, error.message);
    }
  }

  #begin(data) {
    const n = data.frames.length;
    const start = modulo(Math.round(+this.getAttribute("frame")) || 0, n);
    this.#data = data;
    this.#images = Array(n);
    this.#missing.clear();
    this.#queue = loadingOrder(n, start);
    this.#frame = this.#drawn = -1;
    this.#position = start;
    this.#loading = 0;
    this.#zoom = 1;
    this.#close();
    this.#dots = (data.hotspots ?? []).map((spot) => [spot, this.#dot(spot)]);
    this.#$(".dots").replaceChildren(...this.#dots.map(([, dot]) => dot));
    this.style.aspectRatio = `${data.width} / ${data.height}`;
    this.#$(".stage").ariaLabel = OklaSpin.words.label(data.label);
    this.#$(".stage").ariaValueMax = n;
    this.#$(".track b").style.width = `${100 / n}%`;
    this.#show();
    this.#autoplay();
    if (this.#visible) this.#load();
  }

  #load() {
    const images = this.#images;
    while (this.#queue.length && this.#loading < AT_ONCE) {
      const frame = this.#queue.shift();
      const image = new Image();
      const settled = (found) => {
        if (images !== this.#images) return; // another src has been set since
        this.#loading--;
        if (found) images[frame] = image;
        else this.#miss(frame);
        const left = this.#queue.length + this.#loading;
        this.#$(".track").style.transform = `scaleX(${1 - left / images.length})`;
        if (!left) this.#emit("ready", { frames: images.length - this.#missing.size });
        this.#show();
        this.#load();
        this.#wake();
      };
      this.#loading++;
      image.onload = () => settled(true);
      image.onerror = () => settled(false);
      image.src = new URL(this.#data.frames[frame], this.#base);
    }
  }

  #miss(frame) {
    delete this.#images[frame];
    this.#missing.add(frame);
    this.#say(OklaSpin.words.missing(this.#missing.size, this.#images.length), this.#data.frames[frame]);
  }

  #say(text, detail) {
    this.#$(".note").hidden = !text;
    this.#$(".note").textContent = text;
    if (text) this.#emit("error", { message: `${text} ${detail}` });
  }

  // --- showing

  #show() {
    const images = this.#images;
    const frame = modulo(Math.round(this.#position), images.length);
    if (frame !== this.#frame) {
      const azimuth = this.#data.azimuths[frame];
      const view = OklaSpin.words.views[Math.round(azimuth / 45) % 8];
      this.#frame = frame;
      this.#$(".stage").ariaValueNow = frame + 1;
      this.#$(".stage").ariaValueText = `${view}, ${Math.round(azimuth)}\u00b0`;
      this.#$(".track b").style.left = `${(100 * frame) / images.length}%`;
      this.#emit("frame", { frame, azimuth, view });
    }
    const best = nearest(images, frame);
    if (best === this.#drawn || best < 0) return this.#paint();
    // The old picture stays until the new one is decoded, so nothing flickers; one that was overtaken
    // is painted where no newer was, so that a fast drag does not look stuck. Only one bitmap is
    // kept: with decode() browsers keep all of them, ten times the memory.
    const ticket = ++this.#ticket;
    createImageBitmap(images[best]).then((bitmap) => {
      if (ticket < this.#painted || images !== this.#images) return bitmap.close();
      this.#bitmap?.close();
      this.#bitmap = bitmap;
      this.#painted = ticket;
      this.#drawn = best;
      this.#paint();
    }, () => {
      if (images !== this.#images || !images[best]) return;
      this.#miss(best);
      this.#show();
    });
  }

  #resize() {
    const canvas = this.#$("canvas");
    const density = Math.min(devicePixelRatio, 3);
    this.#size = [this.clientWidth, this.clientHeight];
    [canvas.width, canvas.height] = this.#size.map((side) => Math.round(side * density));
    this.#paint();
  }

  /* Where the picture lies, in the element's CSS pixels: left, top, width, height. */
  #rect() {
    const picture = [this.#data.width, this.#data.height];
    const scale = Math.min(...picture.map((side, i) => this.#size[i] / side)) * this.#zoom;
    const size = picture.map((side) => side * scale);
    this.#centre = this.#centre.map((c, i) => {
      const half = Math.min(0.5, this.#size[i] / size[i] / 2);
      return clamp(c, half, 1 - half);
    });
    return [...size.map((side, i) => this.#size[i] / 2 - this.#centre[i] * side), ...size];
  }

  #paint() {
    if (this.#drawn < 0 || !this.#size[0]) return;
    const canvas = this.#$("canvas");
    const context = canvas.getContext("2d");
    const rect = this.#rect();
    context.imageSmoothingQuality = "high";
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(this.#bitmap, ...rect.map((v) => (v * canvas.width) / this.#size[0]));
    for (const [spot, dot] of this.#dots) {
      const at = [spot.x, spot.y].map((share, i) => rect[i] + share * rect[i + 2]);
      const still = spot.frame === this.#drawn && !this.#playing && !this.#speed;
      const shown = still && at.every((v, i) => v >= 0 && v <= this.#size[i]);
      if (!shown && this.#root.activeElement === dot) this.#$(".stage").focus();
      dot.hidden = !shown;
      dot.style.transform = `translate(${at[0]}px, ${at[1]}px)`;
    }
  }

  // --- motion

  /* The person takes over: nothing moves by itself any more, unless it was to play. */
  #settle(playing = false) {
    this.#speed = 0;
    this.#waiting = false;
    this.#playing = playing;
    this.#position = Math.round(this.#position);
    this.#name("play", OklaSpin.words[playing ? "pause" : "play"]);
    this.#$("#play path").setAttribute("d", playing ? PAUSE : PLAY);
    this.#paint();
  }

  #autoplay() {
    this.#settle();
    this.#waiting = this.hasAttribute("autoplay") && !stillness.matches;
    this.#wake();
  }

  #wake() {
    if (!this.#data || this.#clock) return;
    this.#then = performance.now();
    this.#clock = requestAnimationFrame((now) => this.#tick(now));
  }

  #tick(now) {
    this.#clock = 0;
    if (this.#waiting && this.#visible && !this.#queue.length && !this.#loading) this.#settle(true);
    const seconds = clamp((now - this.#then) / 1000, 0, 0.1);
    if (this.#playing && this.#visible) {
      this.#position += (this.#images.length / TURN_SECONDS) * seconds;
    } else if (this.#speed) {
      this.#position += this.#speed * seconds;
      this.#speed *= Math.exp(-seconds / GLIDE_SECONDS);
      if (Math.abs(this.#speed) < SLOWEST) this.#settle();
    } else return;
    this.#show();
    this.#wake();
    this.#then = now;
  }

  #step(frames) {
    this.#used();
    this.#position += Math.round(frames);
    this.#show();
  }

  #used() {
    this.#settle();
    this.#close();
    this.#$(".hint").hidden = true;
  }

  // --- pointers, wheel, keys

  #at(event) {
    const box = this.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #down(event) {
    if (!this.#data || event.button) return;
    this.#used();
    this.#$(".stage").setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, this.#at(event));
    this.#trail = [];
    this.#pinch = null;
  }

  #move(event) {
    const from = this.#pointers.get(event.pointerId);
    if (!from) return;
    const to = this.#at(event);
    this.#pointers.set(event.pointerId, to);
    if (this.#pointers.size > 1) {
      const [a, b] = this.#pointers.values();
      const middle = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
      const [apart, before] = [Math.hypot(a[0] - b[0], a[1] - b[1]), this.#pinch];
      this.#pinch = [apart, middle];
      if (before) this.#zoomTo((this.#zoom * apart) / before[0], before[1], middle);
    } else if (this.#zoom > 1) this.#zoomTo(this.#zoom, from, to);
    else {
      // The near side of the car follows the finger; the width of the element is a whole turn.
      const [first, second] = this.#data.azimuths;
      const direction = modulo(second - first, 360) < 180 ? -1 : 1;
      this.#position += (direction * (to[0] - from[0]) * this.#images.length) / Math.max(320, this.#size[0]);
      this.#trail.push([event.timeStamp, this.#position]);
      this.#show();
    }
  }

  #up(event) {
    if (!this.#pointers.delete(event.pointerId)) return;
    const recent = this.#trail.filter(([time]) => event.timeStamp - time < 90);
    const [first, last] = [recent[0], recent.at(-1)];
    const speed = recent.length > 1 ? (1000 * (last[1] - first[1])) / (last[0] - first[0] || 1) : 0;
    const glides = event.type === "pointerup" && !stillness.matches && Math.abs(speed) > SLOWEST;
    this.#settle();
    if (glides) this.#speed = clamp(speed, -2 * this.#images.length, 2 * this.#images.length);
    this.#show();
    this.#wake();
  }

  /* Plain scrolling belongs to the page: Ctrl, Cmd or a pinch on the trackpad zooms. */
  #wheel(event) {
    if (!(event.ctrlKey || event.metaKey || document.fullscreenElement === this)) return;
    event.preventDefault();
    const way = clamp(event.deltaY * (event.deltaMode ? 20 : 1), -60, 60);
    this.#zoomTo(this.#zoom * Math.exp(-way / 150), this.#at(event));
  }

  #key(event) {
    if (!this.#data || event.ctrlKey || event.metaKey || event.altKey) return;
    const onButton = event.target.localName === "button";
    const n = this.#images.length;
    const steps = {
      ArrowRight: 1, ArrowUp: 1, PageUp: n / 8, ArrowLeft: -1, ArrowDown: -1, PageDown: -n / 8,
      Home: -this.#frame, End: -1 - this.#frame,
    };
    const tools = { "+": "in", "-": "out", f: "full", Escape: "escape", ...(!onButton && { " ": "play" }) };
    if (!(event.key in steps || event.key in tools)) return;
    event.preventDefault();
    if (event.key in steps) this.#step(steps[event.key]);
    else this.#tool(tools[event.key]);
  }

  #tool(name) {
    if (name === "play" && this.#playing) this.#used();
    else if (name === "play") this.play();
    else if (name === "in") this.#zoomTo(this.#zoom * 1.5);
    else if (name === "out") this.#zoomTo(this.#zoom / 1.5);
    else if (name === "close" || (name === "escape" && !this.#$(".card").hidden)) this.#close();
    else if (name === "escape") {
      this.#settle();
      this.#zoomTo(1);
    }
    else if (name === "full" && document.fullscreenElement) document.exitFullscreen();
    else if (name === "full") this.requestFullscreen();
  }

  /* Zooms so that what was under `from` comes under `to`; about the middle without them. */
  #zoomTo(zoom, from = this.#size.map((side) => side / 2), to = from) {
    if (!this.#data) return;
    const rect = this.#rect();
    const next = clamp(zoom, 1, MOST_ZOOM);
    this.#centre = from.map((v, i) => {
      const side = rect[i + 2] * (next / this.#zoom);
      return (v - rect[i]) / rect[i + 2] - (to[i] - this.#size[i] / 2) / side;
    });
    this.#zoom = next;
    this.#$(".stage").classList.toggle("zoomed", next > 1);
    if (next > 1) this.#settle();
    else this.#paint();
  }

  // --- hotspots

  #dot(spot) {
    const dot = document.createElement("button");
    dot.type = "button";
    dot.className = "dot";
    dot.hidden = true;
    dot.ariaLabel = dot.title = spot.label;
    dot.onclick = () => {
      const card = this.#$(".card");
      const [picture, text, close] = card.children;
      this.#opener = dot;
      picture.src = new URL(spot.image, this.#base);
      card.ariaLabel = picture.alt = text.textContent = spot.label;
      card.hidden = false;
      close.focus();
      this.#emit("hotspot", { photo: spot.photo, frame: spot.frame, label: spot.label });
    };
    return dot;
  }

  #close() {
    const card = this.#$(".card");
    const focused = card.contains(this.#root.activeElement);
    card.hidden = true;
    if (focused) (this.#opener.hidden ? this.#$(".stage") : this.#opener).focus();
  }

  #$(selector) { return this.#root.querySelector(selector); }
  #name(id, text) { this.#$(`#${id}`).ariaLabel = this.#$(`#${id}`).title = text; }
  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(`okla-spin-${name}`, { detail, bubbles: true, composed: true }));
  }
}

async function fetched(address, signal) {
  const answer = await fetch(address, { signal });
  if (!answer.ok) throw new Error(`${answer.status} ${address}`);
  return answer.json();
}

/* The first picture, then every 4th, every 2nd, the rest. */
function loadingOrder(n, start) {
  const order = new Set([start]);
  for (const step of [4, 2, 1]) {
    for (let i = 0; i < n; i += step) order.add((start + i) % n);
  }
  return [...order];
}

/* The loaded frame closest to the wanted one, or -1. */
function nearest(images, frame) {
  const n = images.length;
  for (let away = 0; away <= n / 2; away++) {
    const found = [frame - away, frame + away].map((i) => modulo(i, n)).find((i) => images[i]);
    if (found !== undefined) return found;
  }
  return -1;
}

customElements.define("okla-spin", OklaSpin);
})();
