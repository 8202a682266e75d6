/* <okla-spin>: a vehicle that turns by drag, touch, wheel and keys.

   <script src="360-viewer/okla-spin.js" defer></script>
   <okla-spin src="360-viewer/spin.json" autoplay><img slot="poster" src="first.jpg" alt=""></okla-spin>

   Attributes: src (names in spin.json are relative to it), frame (from 0), load ("visible", or
   "click", as which data-saver counts), autoplay ("loop", or "once" around), speed (seconds a turn),
   direction ("reverse"), poster, lang (es, en; else the page's, the browser's), words (JSON). A child
   <script type="application/json"> saves the fetch, which a page from a folder may not do.
   Script: frame, playing, play(), pause(), load(); words of all in customElements.get("okla-spin").words.
   Keys on it: arrows, PageUp, PageDown, Home, End, Space, + and -, with Shift what is zoomed in moves, f, Escape.
   Events: okla-spin-progress -ready -frame -play -drag -zoom -fullscreen -hotspot -error; detail.by is
   "person", "script" or "autoplay".
   CSS: --okla-spin-accent, --okla-spin-background, ::part(stage poster bar button hint note card hotspot
   start track). Needs no exception in a strict CSP. */
(() => {
"use strict"; // the body of a wrapper around a whole file is not indented
if (!globalThis.customElements || customElements.get("okla-spin")) return;

const TURN_SECONDS = 6; // of autoplay
const AT_ONCE = 4, LARGE_AT_ONCE = 2; // downloads
const COARSE = 4; // every so many frames are enough to turn
const RETRY_AFTER = 1500; // milliseconds
const SHARP = 1.1; // screen pixels to one of a small picture's from which a larger one is seen
const MOST_ZOOM = 5;
const GLIDE_SECONDS = 0.28; // time constant of inertia
const SLOWEST = 2; // frames a second at which gliding ends
const PANS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const sheet = new CSSStyleSheet();
sheet.replaceSync(`
:host { all: initial; display: block; position: relative; overflow: hidden; contain: content;
  aspect-ratio: var(--okla-spin-ratio, 4 / 3); background: var(--okla-spin-background, #eceeef); color: #16191d;
  font: 500 14px/1.4 system-ui, sans-serif; user-select: none; -webkit-user-select: none; container-type: inline-size;
  --accent: var(--okla-spin-accent, #0b66d8); }
:host(:fullscreen), :host([over]) { width: 100vw !important; height: 100dvh !important; max-width: none !important;
  max-height: none !important; aspect-ratio: auto !important; margin: 0 !important; border: 0 !important;
  border-radius: 0 !important; padding: 0 !important; }
:host([over]) { position: fixed !important; inset: 0 !important; z-index: 2147483647; }
:host([hidden]), [hidden] { display: none !important; }
.stage, canvas, .dots, .poster, ::slotted(*) { position: absolute; inset: 0; width: 100%; height: 100%; }
.stage { cursor: grab; outline: 0; touch-action: pan-y; }
.zoomed { cursor: move; touch-action: none; }
.stage:focus-visible::after { content: ""; position: absolute; inset: 0; border: 3px solid var(--accent); }
.dots, .poster, ::slotted(*) { pointer-events: none; object-fit: contain; }
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
@container (max-width: 420px) { /* the tools take the lower edge */
  .hint { bottom: auto; top: 12px; }
  .hint:has(~ .note:not([hidden])) { display: none; }
}
.track { position: absolute; inset: auto 0 0; height: 3px; background: #0001; transform-origin: 0 0; }
.track b { position: absolute; height: 3px; background: var(--accent); }
.note { left: 12px; top: 12px; min-height: 44px; padding: 0 16px; }
.note button { width: auto; padding: 0 0 0 12px; text-decoration: underline; }
.start { position: absolute; inset: 0; margin: auto; width: fit-content; grid-auto-flow: column; gap: 10px; padding: 0 20px;
  background: #16191d; color: #fff; }
.card { left: 12px; top: 12px; width: min(300px, 100% - 24px); flex-direction: column; overflow: hidden; }
.card img { width: 100%; aspect-ratio: 4 / 3; object-fit: cover; }
.card p { margin: 10px; }
.card button { position: absolute; right: 0; top: 0; }
.card svg { padding: 6px; border-radius: 50%; background: #fffd; }
svg { width: 20px; height: 20px; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round;
  stroke-linejoin: round; }
@media print { :host > :not(.stage) { display: none !important; } }`);

const PLAY = "M8 5.5v13l10.5-6.5z", PAUSE = "M9 5.5v13M15 5.5v13";
const TURN = "M6 15c-5-3-2-7 6-7s11 4 6 7-6 2-7 2m3-3-3 3 3 3";
const icon = (path) => `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${path}"/></svg>`;
const tool = (name, path) => `<button type="button" id="${name}" part="button">${icon(path)}</button>`;
const template = document.createElement("template");
template.innerHTML = `
<div class="stage" part="stage" role="slider" tabindex="0" aria-valuemin="1"><slot name="poster"><img class="poster"
part="poster" alt="" hidden></slot><canvas></canvas></div>
<div class="track" part="track"><b></b></div><div class="dots"></div>
<div class="hint" part="hint" aria-hidden="true">${icon(TURN)}<span></span></div>
<button type="button" class="start" part="start" id="start" hidden>${icon(TURN)}<span></span></button>
<div class="bar" part="bar" role="toolbar">${tool("play", PLAY)}${tool("out", "M5 12h14")}
${tool("in", "M5 12h14M12 5v14")}${tool("full", "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5")}</div>
<div class="card" part="card" role="dialog" hidden><img><p></p>${tool("close", "M6 6l12 12M18 6 6 18")}</div>
<div class="note" part="note" hidden><span role="status"></span><button type="button" id="retry"></button></div>`;

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const modulo = (value, n) => ((value % n) + n) % n;
const fill = (text, names) => (typeof text === "function" ? text(...Object.values(names))
  : text.replace(/\{(\w+)\}/g, (_, name) => names[name]));
const saving = () => navigator.connection?.saveData || matchMedia("(prefers-reduced-data: reduce)").matches;
const stillness = matchMedia("(prefers-reduced-motion: reduce)");

class OklaSpin extends HTMLElement {
  static observedAttributes = ["src", "frame", "autoplay", "load", "poster", "lang", "words"];
  static words = {}; // of whoever embeds it, before those below
  static languages = {
    en: {
      lang: "en",
      label: "360\u00b0 view of {name}",
      views: ["front", "front left", "left side", "rear left", "rear", "rear right", "right side", "front right"],
      hint: "Drag to turn", loading: "Loading", start: "Load the 360\u00b0 view", tools: "View",
      play: "Turn by itself", pause: "Stop turning", in: "Zoom in", out: "Zoom out", full: "Full screen",
      close: "Close", retry: "Try again", failed: "The 360\u00b0 view could not be loaded.",
      missing: "{few} of {all} pictures could not be loaded.",
    },
    es: {
      lang: "es",
      label: "Vista de 360\u00b0 de {name}",
      views: ["frente", "frente izquierdo", "lado izquierdo", "trasera izquierda", "trasera", "trasera derecha",
        "lado derecho", "frente derecho"],
      hint: "Arrastre para girar", loading: "Cargando", start: "Cargar la vista de 360\u00b0", tools: "Vista",
      play: "Girar autom\u00e1ticamente", pause: "Detener el giro", in: "Acercar", out: "Alejar", full: "Pantalla completa",
      close: "Cerrar", retry: "Intentar de nuevo", failed: "No se pudo cargar la vista de 360\u00b0.",
      missing: "No se pudieron cargar {few} de {all} im\u00e1genes.",
    },
  };

  #root = this.attachShadow({ mode: "open" });
  #words = OklaSpin.languages.en; #by = "script"; // who moves it
  #data = null; #base = ""; #sizes = []; #images = []; #asked = []; #queue = [];
  #missing = new Set(); #again = new Set(); #loading = 0; #dots = []; #started = false; #touched = false;
  #position = 0; #frame = -1; #drawn = -1; #picture = null; #bitmap = null; #ticket = 0; #painted = 0;
  #zoom = 1; #centre = [0.5, 0.5]; #size = [0, 0]; // what of the picture is seen
  #speed = 0; #playing = false; #left = 0; #waiting = false; #visible = false; #then = 0; #clock = 0; // motion
  #pointers = new Map(); #trail = []; #pinch = null; #opener = null; #opening; #life = null; #dragged = null;
  #observers = []; #first = null; // the frame that a script wants before there are any

  constructor() {
    super();
    this.#root.adoptedStyleSheets = [sheet];
    this.#root.append(template.content.cloneNode(true));
  }

  connectedCallback() {
    this.#label();
    this.#life = new AbortController();
    const { signal } = this.#life;
    const on = (target, type, heard) => target.addEventListener(type, heard, { signal, passive: false });
    const stage = this.#$(".stage");
    on(stage, "pointerdown", (event) => this.#down(event));
    on(stage, "pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) on(stage, end, (event) => this.#up(event));
    on(this, "wheel", (event) => this.#wheel(event));
    on(stage, "dblclick", (event) => this.#zoomTo(this.#zoom > 1 ? 1 : 2.5, this.#at(event)));
    on(this.#root, "keydown", (event) => this.#key(event));
    on(this.#root, "click", (event) => this.#tool(event.target.closest("button")?.id));
    on(stillness, "change", () => stillness.matches && this.#settle());
    on(window, "resize", () => this.#resize());
    on(window, "online", () => this.#retry());
    on(document, "fullscreenchange", () => this.#full(this.matches(":fullscreen")));
    const resized = new ResizeObserver(() => this.#resize());
    const seen = new IntersectionObserver((entries) => {
      this.#visible = entries.at(-1).isIntersecting;
      if (this.#visible) this.#show(), this.#open();
      this.#load();
      this.#wake();
    });
    this.#observers = [resized, seen];
    for (const observer of this.#observers) observer.observe(this);
    if (!this.#data) return this.#reset();
    this.#show(); // it was only moved on the page
    if (!this.#touched) this.#autoplay();
  }

  disconnectedCallback() {
    this.#visible = false; // nothing more is fetched
    this.#settle();
    this.#full(false);
    this.#life.abort();
    for (const observer of this.#observers) observer.disconnect();
    this.#pointers.clear();
    cancelAnimationFrame(this.#clock);
    this.#clock = 0;
  }

  attributeChangedCallback(name, before, now) {
    if (!this.#life || before === now) return; // before connecting, which reads them
    if (name === "src") this.#started = false, this.#reset();
    else if (name === "frame") this.frame = now;
    else if (name === "autoplay") this.#autoplay();
    else this.#label(), this.#load();
  }

  get playing() { return this.#playing; }
  get frame() { return this.#frame; }
  set frame(value) {
    if (!Number.isInteger(+value)) return;
    if (this.#data) this.#step(value - this.#frame, "script");
    else this.#first = +value;
  }

  play() { this.#play("script"); }
  pause() { this.#settle(false, "script"); }
  /* load() loads it now, whatever the attribute says. React and Vue set a property where there is one
     of an attribute's name: set, it is the attribute. */
  get load() { return this.#start; }
  set load(when) { this.setAttribute("load", when); }

  #start() {
    this.#started = true;
    this.#label();
    this.#open();
    this.#load();
  }

  #play(by) {
    if (!this.#data) return;
    this.#started = true;
    this.#by = by;
    this.#zoomTo(1);
    this.#settle(true, by);
    this.#label();
    this.#load();
    this.#wake();
  }

  /* All that is said, in the language of the page around it. */
  #label() {
    const lang = (this.closest("[lang]")?.lang || navigator.language).slice(0, 2);
    const { languages, words } = OklaSpin;
    this.#words = { ...languages.en, ...languages[lang], ...words, ...parsed(this.getAttribute("words")) };
    for (const name of ["play", "in", "out", "full", "close"]) this.#name(name, this.#words[name]);
    this.#name("play", this.#words[this.#playing ? "pause" : "play"]);
    this.#$(".bar").ariaLabel = this.#words.tools;
    this.#$(".start span").textContent = this.#words.start;
    this.#$("#retry").textContent = this.#words.retry;
    this.#$(".start").hidden = this.#allowed();
    const poster = this.getAttribute("poster");
    this.#$(".poster").hidden = !poster;
    if (poster) this.#$(".poster").src = poster;
    this.#hint();
    if (!this.#data) return;
    this.#$(".stage").ariaLabel = fill(this.#words.label, { name: this.#data.label });
    if (this.#frame >= 0) this.#$(".stage").ariaValueText = this.#view()[1];
    for (const [[spot], dot] of this.#dots) dot.ariaLabel = dot.title = this.#called(spot);
  }

  /* The view's name, alone and with its azimuth. */
  #view() {
    const azimuth = this.#data.azimuths[this.#frame];
    const view = this.#words.views[Math.round(azimuth / 45) % 8];
    return [view, `${view}, ${Math.round(azimuth)}\u00b0`];
  }

  #called(spot) { return spot.labels?.[this.#words.lang] ?? spot.label; }

  #hint() {
    this.#$(".hint span").textContent = this.#words[this.#turns() ? "hint" : "loading"];
    this.#$(".hint").hidden = this.#touched || !this.#allowed();
  }

  // --- data and pictures

  /* Nothing of the vehicle before stays, whether the new one comes or not. */
  #reset() {
    this.#settle(false, "script");
    this.#data = null;
    this.#images = [];
    this.#dots = [];
    this.#picture = null;
    this.#frame = this.#drawn = -1;
    this.#zoom = 1;
    this.#centre = [0.5, 0.5];
    const [stage, canvas] = [this.#$(".stage"), this.#$("canvas")];
    stage.classList.remove("zoomed");
    stage.ariaLabel = stage.ariaValueNow = stage.ariaValueText = null;
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    this.#$("slot").hidden = false;
    this.#$(".dots").replaceChildren();
    this.#$(".track").style.transform = "";
    this.#close();
    this.#say("");
    this.#label();
    // Data that stand in the page cost nothing; others are not asked for before they can be seen.
    if (!this.getAttribute("src") || this.querySelector("script") || this.#visible) this.#open();
  }

  async #open() {
    const { signal } = this.#life;
    const src = this.getAttribute("src");
    if (this.#data || this.#opening === src) return;
    this.#opening = src;
    this.#base = new URL(src ?? "", document.baseURI).href;
    try {
      if (!src && document.readyState === "loading") {
        await new Promise((parsed) => document.addEventListener("DOMContentLoaded", parsed, { once: true }));
      }
      const inline = this.querySelector("script");
      if (!inline && !src) return;
      const data = inline ? JSON.parse(inline.textContent) : await fetched(this.#base, signal);
      if (!signal.aborted && src === this.getAttribute("src")) this.#begin(data);
    } catch (error) {
      if (!signal.aborted) this.#say(this.#words.failed, error.message);
    } finally {
      this.#opening = undefined;
    }
  }

  #begin(data) {
    const n = data.frames.length;
    if (!n) throw new Error("no frames");
    const start = modulo(this.#first ?? (Math.round(+this.getAttribute("frame")) || 0), n);
    this.#first = null;
    this.#data = data;
    this.#sizes = sizesOf(data);
    this.#images = this.#sizes.map(() => Array(n));
    this.#asked = this.#sizes.map(() => new Set());
    this.#missing.clear();
    this.#again.clear();
    this.#queue = loadingOrder(n, start);
    this.#frame = this.#drawn = -1;
    this.#picture = null;
    this.#position = start;
    this.#loading = 0;
    this.#zoom = 1;
    this.#close();
    this.#say("");
    const photos = new Map(); // a close-up is one button that moves along with the turn
    for (const spot of data.hotspots ?? []) photos.set(spot.photo, [...(photos.get(spot.photo) ?? []), spot]);
    this.#dots = [...photos.values()].map((spots) => [spots, this.#dot(spots[0])]);
    this.#$(".dots").replaceChildren(...this.#dots.map(([, dot]) => dot));
    // No aspect-ratio of its own, which would override that of the page's style.
    this.style.setProperty("--okla-spin-ratio", `${data.width} / ${data.height}`);
    this.#$(".stage").ariaValueMax = n;
    this.#$(".track b").style.width = `${100 / n}%`;
    this.#label();
    this.#show();
    this.#autoplay();
    this.#load();
  }

  #allowed() {
    const load = this.getAttribute("load");
    return this.#started || !(load === "click" || (load !== "visible" && saving()));
  }

  /* Whether enough frames are there to turn. */
  #turns() {
    const n = this.#data?.frames.length;
    return n && this.#settled() * COARSE >= n;
  }
  #settled() { return this.#images[0].filter(Boolean).length + this.#missing.size; }

  #load() {
    if (!this.#data || !this.#visible || !this.#allowed()) return;
    while (this.#queue.length && this.#loading < AT_ONCE) this.#ask(0, this.#queue.shift());
    if (this.#queue.length || !this.#sizes[1]) return;
    for (let next; this.#loading < LARGE_AT_ONCE && (next = this.#sharper()) >= 0;) this.#ask(1, next);
  }

  /* The next frame that is wanted larger: the one that rests, and on a large screen all; or -1. */
  #sharper() {
    const small = this.#sizes[0][0].width;
    const seen = this.#rect()[2] * devicePixelRatio;
    if (seen < small * SHARP || (saving() && this.#zoom === 1)) return -1;
    const rests = !this.#playing && !this.#speed && !this.#pointers.size;
    const all = this.#size[0] > small && !saving() ? loadingOrder(this.#data.frames.length, this.#frame) : [];
    return [...(rests ? [this.#frame] : []), ...all].find((frame) => !this.#asked[1].has(frame)) ?? -1;
  }

  #ask(size, frame) {
    const images = this.#images;
    const picture = document.createElement("picture"); // so the browser itself picks the format
    const image = new Image();
    const settled = (found) => {
      if (images !== this.#images) return; // another src has been set since
      this.#loading--;
      if (found) images[size][frame] = image;
      else this.#miss(size, frame);
      this.#progress(size);
      this.#show();
      this.#load();
      this.#wake();
    };
    this.#loading++;
    this.#asked[size].add(frame);
    image.onload = () => settled(true);
    image.onerror = () => settled(false);
    const formats = this.#sizes[size];
    for (const { type, frames } of formats.slice(0, -1)) {
      const source = document.createElement("source");
      source.type = type;
      source.srcset = new URL(frames[frame], this.#base);
      picture.append(source);
    }
    picture.append(image);
    image.src = new URL(formats.at(-1).frames[frame], this.#base);
  }

  #progress(size) {
    if (size) return;
    const n = this.#data.frames.length;
    const settled = this.#settled();
    this.#$(".track").style.transform = `scaleX(${settled / n})`;
    this.#hint();
    this.#emit("progress", { loaded: settled - this.#missing.size, frames: n });
    if (settled === n) this.#emit("ready", { frames: n - this.#missing.size });
  }

  /* A picture that did not come is asked for once more; then it is said, and a person may ask again. */
  #miss(size, frame) {
    const images = this.#images;
    delete images[size][frame];
    if (size) return;
    if (this.#again.has(frame)) {
      this.#missing.add(frame);
      const numbers = { few: this.#missing.size, all: images[0].length };
      return this.#say(fill(this.#words.missing, numbers), this.#data.frames[frame]);
    }
    this.#again.add(frame);
    setTimeout(() => {
      if (images !== this.#images) return;
      this.#queue.push(frame);
      this.#load();
    }, RETRY_AFTER);
  }

  #retry() {
    if (!this.#data && !this.#$(".note").hidden) this.#open();
    this.#queue.push(...this.#missing);
    this.#missing.clear();
    this.#$(".note").hidden = true;
    this.#load();
  }

  #say(text, detail) {
    this.#$(".note").hidden = !text;
    this.#$(".note span").textContent = text;
    if (text) this.#emit("error", { message: `${text} ${detail}` });
  }

  // --- showing

  #show() {
    if (!this.#data) return;
    const n = this.#data.frames.length;
    const frame = modulo(Math.round(this.#position), n);
    if (frame !== this.#frame) {
      this.#frame = frame;
      const [view, text] = this.#view();
      this.#$(".stage").ariaValueNow = frame + 1;
      this.#$(".stage").ariaValueText = text;
      this.#$(".track b").style.left = `${(100 * frame) / n}%`;
      this.#emit("frame", { frame, azimuth: this.#data.azimuths[frame], view });
    }
    const images = this.#images;
    const picture = (i) => images[1]?.[i] ?? images[0][i];
    const best = nearest(n, frame, picture);
    if (best < 0 || picture(best) === this.#picture) return this.#paint();
    // The old picture stays until the new one is decoded, so nothing flickers; one that was overtaken
    // is painted where no newer was, so that a fast drag does not look stuck. Only one bitmap is
    // kept: with decode() browsers keep all of them, ten times the memory.
    const ticket = ++this.#ticket;
    const wanted = picture(best);
    createImageBitmap(wanted).then((bitmap) => {
      if (ticket < this.#painted || images !== this.#images) return bitmap.close();
      this.#bitmap?.close();
      this.#bitmap = bitmap;
      this.#painted = ticket;
      this.#drawn = best;
      this.#picture = wanted;
      this.#paint();
    }, () => {
      if (images !== this.#images || picture(best) !== wanted) return;
      this.#miss(images[1]?.[best] ? 1 : 0, best);
      this.#show();
    });
  }

  #resize() {
    const canvas = this.#$("canvas");
    const density = Math.min(devicePixelRatio, 3);
    this.#size = [this.clientWidth, this.clientHeight];
    [canvas.width, canvas.height] = this.#size.map((side) => Math.round(side * density));
    this.#paint();
    this.#load();
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
    if (!this.#data || this.#drawn < 0 || !this.#size[0]) return;
    this.#$("slot").hidden = true;
    const canvas = this.#$("canvas");
    const context = canvas.getContext("2d");
    const rect = this.#rect();
    context.imageSmoothingQuality = "high";
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(this.#bitmap, ...rect.map((v) => (v * canvas.width) / this.#size[0]));
    for (const [spots, dot] of this.#dots) {
      const spot = spots.find((one) => one.frame === this.#drawn);
      const at = spot && [spot.x, spot.y].map((share, i) => rect[i] + share * rect[i + 2]);
      const shown = at && !this.#playing && at.every((v, i) => v >= 0 && v <= this.#size[i]);
      if (!shown && this.#root.activeElement === dot) this.#$(".stage").focus();
      dot.hidden = !shown;
      if (shown) dot.style.transform = `translate(${at[0]}px, ${at[1]}px)`;
    }
  }

  // --- motion

  /* The person takes over: nothing moves by itself any more, unless it was to play. */
  #settle(playing = false, by = "person") {
    const before = this.#playing;
    this.#by = by;
    this.#speed = 0;
    this.#waiting = false;
    this.#playing = playing;
    this.#left = this.getAttribute("autoplay") === "once" ? this.#data?.frames.length : Infinity;
    this.#position = Math.round(this.#position);
    this.#name("play", this.#words[playing ? "pause" : "play"]);
    this.#$("#play path").setAttribute("d", playing ? PAUSE : PLAY);
    if (before !== playing) this.#emit("play", { playing });
    this.#paint();
    this.#load();
  }

  #autoplay() {
    this.#settle(false, "script");
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
    if (this.#waiting && this.#visible && this.#turns()) this.#settle(true, "autoplay");
    const seconds = clamp((now - this.#then) / 1000, 0, 0.1);
    if (this.#playing && this.#visible) {
      const turn = +this.getAttribute("speed") || TURN_SECONDS;
      const way = Math.min((this.#data.frames.length / turn) * seconds, this.#left);
      this.#position += this.getAttribute("direction") === "reverse" ? -way : way;
      this.#left -= way;
      if (!this.#left) this.#settle(false, this.#by);
    } else if (this.#speed) {
      this.#position += this.#speed * seconds;
      this.#speed *= Math.exp(-seconds / GLIDE_SECONDS);
      if (Math.abs(this.#speed) < SLOWEST) this.#settle();
    } else return;
    this.#show();
    this.#wake();
    this.#then = now;
  }

  #step(frames, by = "person") {
    this.#used(by);
    this.#position += Math.round(frames);
    this.#show();
    this.#load();
  }

  #used(by = "person") {
    this.#settle(false, by);
    this.#close();
    if (by === "person" && !this.#started) this.#start();
    this.#touched = true;
    this.#hint();
  }

  // --- pointers, wheel, keys

  #at(event) {
    const box = this.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #down(event) {
    if (!this.#data || event.button) return;
    this.#used();
    if (event.isPrimary) this.#pointers.clear(); // one whose end was not heard
    this.#$(".stage").setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, this.#at(event));
    this.#trail = [];
    this.#pinch = null;
    this.#dragged = this.#position;
  }

  #move(event) {
    const from = this.#pointers.get(event.pointerId);
    if (!from) return;
    if (!event.buttons) return this.#up(event); // a carousel around it took the pointer and heard its end
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
      this.#position += (direction * (to[0] - from[0]) * this.#data.frames.length) / Math.max(320, this.#size[0]);
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
    if (this.#trail.length) this.#emit("drag", { frames: Math.round(this.#position - this.#dragged) });
    if (glides) this.#speed = clamp(speed, -2 * this.#data.frames.length, 2 * this.#data.frames.length);
    this.#show();
    this.#wake();
  }

  /* Plain scrolling belongs to the page: Ctrl, Cmd or a pinch on the trackpad zooms. */
  #wheel(event) {
    if (!(event.ctrlKey || event.metaKey || this.matches(":fullscreen, [over]"))) return;
    event.preventDefault();
    const way = clamp(event.deltaY * (event.deltaMode ? 20 : 1), -60, 60);
    this.#zoomTo(this.#zoom * Math.exp(-way / 150), this.#at(event));
  }

  #key(event) {
    if (!this.#data || event.ctrlKey || event.metaKey || event.altKey) return;
    const onButton = event.target.localName === "button";
    const n = this.#data.frames.length;
    const steps = {
      ArrowRight: 1, ArrowUp: 1, PageUp: n / 8, ArrowLeft: -1, ArrowDown: -1, PageDown: -n / 8,
      Home: -this.#frame, End: -1 - this.#frame,
    };
    const tools = { "+": "in", "-": "out", f: "full", Escape: "escape", ...(!onButton && { " ": "play" }) };
    if (!(event.key in steps || event.key in tools)) return;
    if (event.key === "Escape") {
      const used = !this.#$(".card").hidden || this.#zoom > 1 || this.#playing || this.hasAttribute("over");
      if (!used) return; // it closes the dialog around it, say
      event.stopPropagation();
    }
    event.preventDefault();
    const along = event.shiftKey && this.#zoom > 1 && PANS[event.key];
    if (along) {
      const middle = this.#size.map((side) => side / 2);
      this.#zoomTo(this.#zoom, middle, middle.map((half, i) => half * (1 - along[i] / 3)));
    } else if (event.key in steps) this.#step(steps[event.key]);
    else this.#tool(tools[event.key]);
  }

  #tool(name) {
    if (name === "play" && this.#playing) this.#used();
    else if (name === "play") this.#play("person");
    else if (name === "in") this.#zoomTo(this.#zoom * 1.5);
    else if (name === "out") this.#zoomTo(this.#zoom / 1.5);
    else if (name === "start" || name === "retry") {
      this.#$(".stage").focus({ preventScroll: true }); // the button goes
      if (name === "start") this.#start();
      else this.#retry();
    }
    else if (name === "close" || (name === "escape" && !this.#$(".card").hidden)) this.#close();
    else if (name === "escape" && this.hasAttribute("over")) this.#full(false);
    else if (name === "escape") {
      this.#settle();
      this.#zoomTo(1);
    }
    else if (name === "full" && this.matches(":fullscreen")) document.exitFullscreen();
    else if (name === "full" && document.fullscreenEnabled) this.requestFullscreen();
    else if (name === "full") this.#full(!this.hasAttribute("over"));
  }

  /* An iPhone makes no element fullscreen: there it lies over the page, above all else of it. */
  #full(on) {
    const covers = !document.fullscreenEnabled;
    if (covers && on !== this.hasAttribute("over")) {
      this.toggleAttribute("over", on);
      document.documentElement.style.overflow = on ? "hidden" : "";
      if (this.showPopover && on) this.popover = "manual", this.showPopover();
      else if (this.showPopover) this.hidePopover(), (this.popover = null);
    } else if (on === (this.#$("#full").ariaPressed === "true")) return;
    this.#$("#full").ariaPressed = on;
    this.#emit("fullscreen", { on }, "person");
  }

  /* Zooms so that what was under `from` comes under `to`; about the middle without them. */
  #zoomTo(zoom, from = this.#size.map((side) => side / 2), to = from) {
    if (!this.#data) return;
    if (!this.#size[0]) { // not laid out yet: nothing can be measured
      this.#zoom = 1;
      this.#centre = [0.5, 0.5];
      this.#$(".stage").classList.remove("zoomed");
      return;
    }
    const rect = this.#rect();
    const next = clamp(zoom, 1, MOST_ZOOM);
    this.#centre = from.map((v, i) => {
      const side = rect[i + 2] * (next / this.#zoom);
      return (v - rect[i]) / rect[i + 2] - (to[i] - this.#size[i] / 2) / side;
    });
    const before = this.#zoom;
    this.#zoom = next;
    this.#$(".stage").classList.toggle("zoomed", next > 1);
    if (next > 1) this.#settle();
    else this.#paint();
    if (next !== before) this.#emit("zoom", { zoom: next });
    this.#load();
  }

  // --- hotspots

  #dot(spot) {
    const dot = document.createElement("button");
    dot.type = "button";
    dot.className = "dot";
    dot.setAttribute("part", "hotspot");
    dot.hidden = true;
    dot.ariaLabel = dot.title = this.#called(spot);
    dot.onclick = () => {
      const label = this.#called(spot);
      const card = this.#$(".card");
      const [picture, text, close] = card.children;
      this.#opener = dot;
      picture.src = new URL(spot.image, this.#base);
      card.ariaLabel = picture.alt = text.textContent = label;
      card.hidden = false;
      close.focus();
      this.#emit("hotspot", { photo: spot.photo, frame: this.#drawn, label }, "person");
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
  #emit(name, detail, by = this.#by) {
    this.dispatchEvent(new CustomEvent(`okla-spin-${name}`, { detail: { ...detail, by }, bubbles: true, composed: true }));
  }
}

async function fetched(address, signal) {
  const answer = await fetch(address, { signal });
  if (!answer.ok) throw new Error(`${answer.status} ${address}`);
  return answer.json();
}

function parsed(words) {
  try {
    return JSON.parse(words);
  } catch {
    return console.warn("okla-spin: the attribute words is no JSON"), null;
  }
}

/* The narrowest pictures and the widest, each as the formats that there are, JPEG last. */
function sizesOf({ width, frames, sizes = [] }) {
  const all = [...sizes, { width, type: "image/jpeg", frames }].sort((a, b) => a.width - b.width);
  const widths = new Set([all[0].width, width]);
  return [...widths].map((wide) => all.filter((size) => size.width === wide));
}

/* The first picture, then every 8th, every 4th, every 2nd, the rest. */
function loadingOrder(n, start) {
  const order = new Set([start]);
  for (const step of [8, 4, 2, 1]) {
    for (let i = 0; i < n; i += step) order.add((start + i) % n);
  }
  return [...order];
}

/* The frame closest to the wanted one of which there is a picture, or -1. */
function nearest(n, frame, picture) {
  for (let away = 0; away <= n / 2; away++) {
    const found = [frame - away, frame + away].map((i) => modulo(i, n)).find(picture);
    if (found !== undefined) return found;
  }
  return -1;
}

customElements.define("okla-spin", OklaSpin);
})();
