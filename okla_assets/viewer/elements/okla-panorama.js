/* <okla-panorama>: a look around from one point, in an equirectangular picture, by WebGL.

   <script src="okla-panorama.js" defer></script>
   <okla-panorama src="whole.jpg" srcset="half.webp 2048w, whole.webp 4096w" label="the cabin">
     <img slot="poster" src="ahead.jpg" alt=""></okla-panorama>

   Attributes: src, srcset (widths in w), label, load ("click" waits for one), lang (es, en).
   Script: yaw, pitch, fov (degrees). Events: okla-panorama-ready -move -error; detail.by is "person",
   "gyroscope" or "script". Drag, touch, keys, pinch and Ctrl+wheel; a button follows the phone's turning.
   CSS: --okla-spin-accent, ::part(stage bar button poster note). Needs no exception in a strict CSP. */
(() => {
"use strict"; // the body of a wrapper around a whole file is not indented
if (!globalThis.customElements || customElements.get("okla-panorama")) return;

const WIDEST = 95, NARROWEST = 30, AT_FIRST = 80; // degrees across the shorter side
const GLIDE_SECONDS = 0.28; // time constant of inertia
const SLOWEST = 3; // degrees a second at which gliding ends

const sheet = new CSSStyleSheet();
sheet.replaceSync(`
:host { all: initial; display: block; position: relative; overflow: hidden; contain: content; aspect-ratio: 16 / 9;
  background: var(--okla-spin-background, #23262a); color: #16191d; font: 500 14px/1.4 system-ui, sans-serif;
  user-select: none; -webkit-user-select: none; --accent: var(--okla-spin-accent, #0b66d8); }
:host(:fullscreen), :host([over]) { width: 100vw !important; height: 100dvh !important; max-width: none !important;
  max-height: none !important; aspect-ratio: auto !important; margin: 0 !important; border: 0 !important;
  border-radius: 0 !important; padding: 0 !important; }
:host([over]) { position: fixed !important; inset: 0 !important; z-index: 2147483647; }
:host([hidden]), [hidden] { display: none !important; }
.stage, canvas, ::slotted(*) { position: absolute; inset: 0; width: 100%; height: 100%; }
::slotted(*) { object-fit: cover; pointer-events: none; }
.stage { cursor: grab; outline: 0; touch-action: pan-y; }
:host([over]) .stage, :host(:fullscreen) .stage { touch-action: none; }
.stage:focus-visible::after { content: ""; position: absolute; inset: 0; border: 3px solid var(--accent); }
button { all: unset; box-sizing: border-box; min-width: 44px; height: 44px; display: grid; place-items: center; cursor: pointer;
  border-radius: 22px; }
button:focus-visible { outline: 3px solid var(--accent); outline-offset: -3px; }
button[aria-pressed=true] { color: var(--accent); }
.bar, .note { position: absolute; display: flex; align-items: center; border-radius: 22px; background: #fffd;
  box-shadow: 0 1px 2px #0001, 0 6px 20px #0002; }
.bar { right: 12px; bottom: 14px; }
.note { left: 12px; top: 12px; min-height: 44px; padding: 0 16px; gap: 12px; }
.note button { text-decoration: underline; }
.start { position: absolute; inset: 0; margin: auto; width: fit-content; padding: 0 20px; background: #16191d; color: #fff; }
svg { width: 20px; height: 20px; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round;
  stroke-linejoin: round; }
@media print { :host > :not(.stage) { display: none !important; } }`);

const icon = (path) => `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${path}"/></svg>`;
const tool = (name, path) => `<button type="button" id="${name}" part="button">${icon(path)}</button>`;
const template = document.createElement("template");
template.innerHTML = `
<div class="stage" part="stage" role="application" tabindex="0"><slot name="poster"></slot><canvas></canvas></div>
<button type="button" class="start" part="start" id="start" hidden></button>
<div class="bar" part="bar" role="toolbar">${tool("gyro", "M8 3h8v18H8zM3 9c-1 2-1 4 0 6m18-6c1 2 1 4 0 6")}
${tool("out", "M5 12h14")}${tool("in", "M5 12h14M12 5v14")}${tool("full", "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5")}</div>
<div class="note" part="note" hidden><span role="status"></span><button type="button" id="retry"></button></div>`;

const WORDS = {
  en: {
    label: "360\u00b0 view inside {name}: drag or use the arrow keys", tools: "View", gyro: "Follow the phone",
    in: "Zoom in", out: "Zoom out", full: "Full screen", start: "Load the 360\u00b0 view", retry: "Try again",
    failed: "The 360\u00b0 view could not be loaded.", unable: "This browser cannot show 360\u00b0 views.",
    folder: "To look around, open this page from a server.",
  },
  es: {
    label: "Vista de 360\u00b0 dentro de {name}: arrastre o use las flechas", tools: "Vista",
    gyro: "Seguir el tel\u00e9fono", in: "Acercar", out: "Alejar", full: "Pantalla completa",
    start: "Cargar la vista de 360\u00b0", retry: "Intentar de nuevo", failed: "No se pudo cargar la vista de 360\u00b0.",
    unable: "Este navegador no puede mostrar vistas de 360\u00b0.",
    folder: "Para mirar alrededor, abra esta p\u00e1gina desde un servidor.",
  },
};

const VERTEX = "attribute vec2 at; varying vec2 place; void main() { place = at; gl_Position = vec4(at, 0., 1.); }";
const FRAGMENT = `precision highp float; varying vec2 place; uniform sampler2D sphere; uniform mat3 turn; uniform vec2 half_;
void main() {
  vec3 ray = normalize(turn * vec3(place * half_, 1.));
  gl_FragColor = texture2D(sphere, vec2(.5 + atan(ray.x, ray.z) / 6.2831853, .5 - asin(clamp(ray.y, -1., 1.)) / 3.1415927));
}`;

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const radians = (degrees) => (degrees * Math.PI) / 180;
const stillness = matchMedia("(prefers-reduced-motion: reduce)");

class OklaPanorama extends HTMLElement {
  static observedAttributes = ["src", "srcset", "label"];
  static words = WORDS;

  #root = this.attachShadow({ mode: "open" });
  #words = WORDS.en; #gl = null; #spots = {}; #ready = false; #asked = false; #visible = false; #size = [1, 1];
  #yaw = 0; #pitch = 0; #fov = AT_FIRST; #speed = [0, 0]; #trail = []; #clock = 0; #then = 0;
  #pointers = new Map(); #pinch = 0; #life = null; #gyro = null; #offset = null; #ticket = 0; // of the last load
  #observers = [];

  constructor() {
    super();
    this.#root.adoptedStyleSheets = [sheet];
    this.#root.append(template.content.cloneNode(true));
  }

  connectedCallback() {
    const lang = (this.closest("[lang]")?.lang || navigator.language).slice(0, 2);
    this.#words = WORDS[lang] ?? WORDS.en;
    for (const name of ["gyro", "in", "out", "full"]) this.#name(name, this.#words[name]);
    this.#$(".bar").ariaLabel = this.#words.tools;
    this.#$("#retry").textContent = this.#words.retry;
    this.#$("#start").textContent = this.#words.start;
    this.#$("#start").hidden = this.#asked || !this.#lazy();
    this.#label();
    this.#$("#gyro").hidden = !(globalThis.DeviceOrientationEvent && navigator.maxTouchPoints);
    this.#life = new AbortController();
    const { signal } = this.#life;
    const on = (target, type, heard) => target.addEventListener(type, heard, { signal, passive: false });
    const stage = this.#$(".stage");
    on(stage, "pointerdown", (event) => this.#down(event));
    on(stage, "pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) on(stage, end, (event) => this.#up(event));
    on(stage, "wheel", (event) => {
      if (!(event.ctrlKey || event.metaKey || this.#isFull())) return;
      event.preventDefault();
      this.#look(0, 0, this.#fov * Math.exp(clamp(event.deltaY, -60, 60) / 300));
    });
    on(this.#root, "keydown", (event) => this.#key(event));
    on(this.#root, "click", (event) => this.#tool(event.target.closest("button")?.id));
    on(this.#$("canvas"), "webglcontextlost", (event) => {
      event.preventDefault();
      this.#gl = null;
      this.#ready = this.#asked = false;
      this.#ticket++;
      this.#$("slot").hidden = false;
    });
    on(this.#$("canvas"), "webglcontextrestored", () => this.#load());
    const resized = new ResizeObserver(() => this.#resize());
    const seen = new IntersectionObserver((entries) => {
      this.#visible = entries.at(-1).isIntersecting;
      if (!this.#lazy()) this.#load();
    }, { rootMargin: "200px" });
    this.#observers = [resized, seen];
    for (const observer of this.#observers) observer.observe(this);
  }

  disconnectedCallback() {
    this.#visible = false;
    this.#follow(false);
    this.#full(false);
    this.#life.abort();
    for (const observer of this.#observers) observer.disconnect();
    this.#pointers.clear();
    cancelAnimationFrame(this.#clock);
    this.#clock = 0;
  }

  attributeChangedCallback(name, before, now) {
    if (!this.#life || before === now) return; // before connecting, which reads them
    if (name === "label") return this.#label();
    this.#asked = this.#ready = false;
    this.#$("canvas").hidden = true;
    this.#$("slot").hidden = false;
    this.#$("#start").hidden = !this.#lazy();
    const ticket = ++this.#ticket;
    // Once src and srcset are both set.
    queueMicrotask(() => ticket === this.#ticket && !this.#lazy() && this.#load());
  }

  #label() {
    this.#$(".stage").ariaLabel = this.#words.label.replace("{name}", () => this.getAttribute("label") ?? "");
  }

  get yaw() { return this.#yaw; }
  set yaw(degrees) { this.#turnTo(+degrees, this.#pitch, "script"); }
  get pitch() { return this.#pitch; }
  set pitch(degrees) { this.#turnTo(this.#yaw, +degrees, "script"); }
  get fov() { return this.#fov; }
  set fov(degrees) { this.#look(0, 0, +degrees, "script"); }

  // --- the picture

  #lazy() {
    const load = this.getAttribute("load");
    const saving = navigator.connection?.saveData || matchMedia("(prefers-reduced-data: reduce)").matches;
    return load === "click" || (load !== "visible" && saving);
  }

  async #load() {
    if (this.#asked || !this.#visible) return;
    this.#asked = true;
    const ticket = ++this.#ticket;
    this.#$("#start").hidden = true;
    this.#say("");
    if (!this.#gl && !this.#begin()) return this.#say(this.#words.unable, false);
    const [src, srcset] = [this.getAttribute("src"), this.getAttribute("srcset") ?? ""];
    const sizes = srcset.split(",").filter(Boolean).map((one) => one.trim().split(/\s+/))
      .map(([url, wide]) => [url, parseInt(wide)]).sort((a, b) => a[1] - b[1]);
    const most = this.#gl.getParameter(this.#gl.MAX_TEXTURE_SIZE);
    // The smallest first, which is there soon; then the one with the screen's pixels.
    const wanted = (Math.max(...this.#size) * Math.min(devicePixelRatio, 2) * 360) / AT_FIRST;
    const fitting = sizes.filter(([, wide]) => wide <= most);
    const best = fitting.find(([, wide]) => wide >= wanted * 0.8) ?? fitting.at(-1);
    const urls = [...new Set([fitting[0]?.[0], best?.[0]].filter(Boolean))];
    let shown = false;
    for (const url of urls) shown = (await this.#draw(url, ticket, most)) || shown;
    if (!shown && src) shown = await this.#draw(src, ticket, most);
    if (ticket !== this.#ticket) return; // others are wanted since
    if (!shown) {
      this.#asked = false;
      // Of a file the browser lends no pixels to WebGL.
      const folder = location.protocol === "file:";
      this.#say(this.#words[folder ? "folder" : "failed"], !folder);
    }
  }

  async #draw(url, ticket, most) {
    if (ticket !== this.#ticket) return false;
    const image = new Image();
    const elsewhere = new URL(url, document.baseURI).origin !== location.origin;
    if (elsewhere && location.protocol !== "file:") image.crossOrigin = "anonymous";
    image.src = url;
    try {
      await image.decode();
    } catch {
      return false;
    }
    const gl = this.#gl;
    if (!gl || ticket !== this.#ticket) return false;
    let pixels = image;
    if (image.naturalWidth > most) {
      pixels = document.createElement("canvas");
      [pixels.width, pixels.height] = [most, most / 2];
      pixels.getContext("2d").drawImage(image, 0, 0, most, most / 2);
    }
    try {
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, pixels);
    } catch { // a page from a folder may read no pixels
      return false;
    }
    const first = !this.#ready;
    this.#ready = true;
    this.#$("slot").hidden = true;
    this.#$("canvas").hidden = false;
    this.#paint();
    if (first) this.#emit("ready", { width: image.naturalWidth }, "script");
    return true;
  }

  #begin() {
    const gl = this.#$("canvas").getContext("webgl", { antialias: false, alpha: true });
    if (!gl) return false;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return false;
    gl.useProgram(program);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 3, -1, -1, 3]), gl.STATIC_DRAW);
    const at = gl.getAttribLocation(program, "at");
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, 2, gl.FLOAT, false, 0, 0);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    // No mipmaps: across the seam, where the longitude jumps, they would draw a line.
    for (const [name, value] of [["MIN_FILTER", "LINEAR"], ["MAG_FILTER", "LINEAR"], ["WRAP_S", "CLAMP_TO_EDGE"],
      ["WRAP_T", "CLAMP_TO_EDGE"]]) gl.texParameteri(gl.TEXTURE_2D, gl[`TEXTURE_${name}`], gl[value]);
    this.#spots = { turn: gl.getUniformLocation(program, "turn"), half: gl.getUniformLocation(program, "half_") };
    this.#gl = gl;
    return true;
  }

  #resize() {
    const canvas = this.#$("canvas");
    const density = Math.min(devicePixelRatio, 2);
    this.#size = [this.clientWidth, this.clientHeight];
    [canvas.width, canvas.height] = this.#size.map((side) => Math.round(side * density));
    this.#paint();
  }

  #paint() {
    const gl = this.#gl;
    if (!gl || !this.#ready || !this.#size[0]) return;
    const [cy, sy] = [Math.cos(radians(this.#yaw)), Math.sin(radians(this.#yaw))];
    const [cp, sp] = [Math.cos(radians(this.#pitch)), Math.sin(radians(this.#pitch))];
    const half = Math.tan(radians(this.#fov) / 2) / Math.min(...this.#size);
    gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
    gl.uniform2f(this.#spots.half, half * this.#size[0], half * this.#size[1]);
    // Columns: where the picture's right, its top and its middle point to.
    gl.uniformMatrix3fv(this.#spots.turn, false, [cy, 0, -sy, -sy * sp, cp, -cy * sp, sy * cp, sp, cy * cp]);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /* `again`: whether another try may help. */
  #say(text, again = true) {
    this.#$(".note").hidden = !text;
    this.#$("#retry").hidden = !again;
    this.#$(".note span").textContent = text;
    if (text) this.#emit("error", { message: text }, "script");
  }

  // --- looking around

  #turnTo(yaw, pitch, by) {
    this.#yaw = ((((yaw + 180) % 360) + 360) % 360) - 180;
    this.#pitch = clamp(pitch, -85, 85);
    this.#paint();
    this.#emit("move", { yaw: this.#yaw, pitch: this.#pitch, fov: this.#fov }, by);
  }

  #look(across, up, fov = this.#fov, by = "person") {
    this.#fov = clamp(fov, NARROWEST, WIDEST);
    this.#turnTo(this.#yaw + across, this.#pitch + up, by);
  }

  #perPixel() { return this.#fov / Math.min(...this.#size); }

  #at(event) {
    const box = this.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #down(event) {
    if (event.button) return;
    if (this.#lazy()) this.#load();
    this.#speed = [0, 0];
    this.#trail = [];
    this.#pinch = 0;
    if (event.isPrimary) this.#pointers.clear(); // one whose end was not heard
    this.#$(".stage").setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, this.#at(event));
  }

  #move(event) {
    const from = this.#pointers.get(event.pointerId);
    if (!from) return;
    if (!event.buttons) return this.#up(event); // a carousel around it took the pointer and heard its end
    const to = this.#at(event);
    this.#pointers.set(event.pointerId, to);
    if (this.#pointers.size > 1) {
      const [a, b] = this.#pointers.values();
      const apart = Math.hypot(a[0] - b[0], a[1] - b[1]);
      if (this.#pinch) this.#look(0, 0, (this.#fov * this.#pinch) / apart);
      this.#pinch = apart;
      return;
    }
    const moved = [from[0] - to[0], to[1] - from[1]].map((side) => side * this.#perPixel());
    this.#trail.push([event.timeStamp, ...moved]);
    this.#look(...moved);
  }

  #up(event) {
    if (!this.#pointers.delete(event.pointerId)) return;
    const recent = this.#trail.filter(([time]) => event.timeStamp - time < 90);
    const seconds = recent.length > 1 ? (recent.at(-1)[0] - recent[0][0]) / 1000 : 0;
    if (!seconds || event.type !== "pointerup" || stillness.matches) return;
    this.#speed = [1, 2].map((i) => clamp(recent.slice(1).reduce((sum, one) => sum + one[i], 0) / seconds, -360, 360));
    this.#then = performance.now();
    this.#clock ||= requestAnimationFrame((now) => this.#tick(now));
  }

  #tick(now) {
    this.#clock = 0;
    const seconds = clamp((now - this.#then) / 1000, 0, 0.1);
    this.#then = now;
    if (Math.hypot(...this.#speed) < SLOWEST) return;
    this.#look(...this.#speed.map((side) => side * seconds));
    this.#speed = this.#speed.map((side) => side * Math.exp(-seconds / GLIDE_SECONDS));
    this.#clock = requestAnimationFrame((later) => this.#tick(later));
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, 8], ArrowDown: [0, -8] };
    const tools = { "+": "in", "-": "out", f: "full", Escape: "escape" };
    if (!(event.key in steps || event.key in tools || event.key === "Home")) return;
    if (event.key === "Escape" && !this.hasAttribute("over")) return; // a dialog's around it
    if (event.key === "Escape") event.stopPropagation();
    event.preventDefault();
    if (this.#lazy()) this.#load();
    this.#speed = [0, 0];
    if (event.key in steps) this.#look(...steps[event.key]);
    else if (event.key === "Home") this.#turnTo(0, 0, "person");
    else this.#tool(tools[event.key]);
  }

  #tool(name) {
    if (name === "in") this.#look(0, 0, this.#fov / 1.25);
    else if (name === "out") this.#look(0, 0, this.#fov * 1.25);
    else if (name === "gyro") this.#follow(!this.#gyro);
    else if (name === "start" || name === "retry") {
      this.#$(".stage").focus({ preventScroll: true }); // the button goes
      this.#load();
    }
    else if (name === "escape") this.#full(false);
    else if (name === "full" && this.matches(":fullscreen")) document.exitFullscreen();
    else if (name === "full" && document.fullscreenEnabled) this.requestFullscreen();
    else if (name === "full") this.#full(!this.hasAttribute("over"));
  }

  #isFull() { return this.matches(":fullscreen, [over]"); }

  /* An iPhone makes no element fullscreen: there it lies over the page, above all else of it. */
  #full(on) {
    if (document.fullscreenEnabled || on === this.hasAttribute("over")) return;
    this.toggleAttribute("over", on);
    document.documentElement.style.overflow = on ? "hidden" : "";
    if (this.showPopover && on) this.popover = "manual", this.showPopover();
    else if (this.showPopover) this.hidePopover(), (this.popover = null);
  }

  // --- the phone's own turning

  async #follow(on) {
    this.#gyro?.abort();
    this.#gyro = this.#offset = null;
    this.#$("#gyro").ariaPressed = false;
    if (!on) return;
    const asks = globalThis.DeviceOrientationEvent.requestPermission; // Safari
    if (asks && (await asks.call(DeviceOrientationEvent).catch(() => "denied")) !== "granted") return;
    this.#gyro = new AbortController();
    this.#$("#gyro").ariaPressed = true;
    addEventListener("deviceorientation", (event) => this.#oriented(event), { signal: this.#gyro.signal });
  }

  #oriented({ alpha, beta, gamma }) {
    if (alpha === null) return;
    // Where the back of the phone points to, in the frame of the earth (W3C Device Orientation, section 4).
    const [a, b, c] = [alpha, beta, gamma].map(radians);
    const east = -Math.cos(a) * Math.sin(c) - Math.sin(a) * Math.sin(b) * Math.cos(c);
    const north = -Math.sin(a) * Math.sin(c) + Math.cos(a) * Math.sin(b) * Math.cos(c);
    const up = -Math.cos(b) * Math.cos(c);
    const heading = (Math.atan2(east, north) * 180) / Math.PI;
    this.#offset ??= this.#yaw - heading;
    this.#turnTo(heading + this.#offset, (Math.asin(clamp(up, -1, 1)) * 180) / Math.PI, "gyroscope");
  }

  #$(selector) { return this.#root.querySelector(selector); }
  #name(id, text) { this.#$(`#${id}`).ariaLabel = this.#$(`#${id}`).title = text; }
  #emit(name, detail, by) {
    this.dispatchEvent(new CustomEvent(`okla-panorama-${name}`, { detail: { ...detail, by }, bubbles: true, composed: true }));
  }
}

customElements.define("okla-panorama", OklaPanorama);
})();
