/* Both elements as an ES module. Each file is a plain script as well, for pages that load it by a tag. */
import "./okla-spin.js";
import "./okla-panorama.js";

export const OklaSpin = globalThis.customElements?.get("okla-spin");
export const OklaPanorama = globalThis.customElements?.get("okla-panorama");
