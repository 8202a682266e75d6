/** Who made something happen: a person, the page's script, the element by itself, the phone's turning. */
export type By = "person" | "script" | "autoplay" | "gyroscope";

/** spin.json; addresses in it are relative to it. */
export interface SpinData {
  version: 1;
  label: string;
  width: number;
  height: number;
  /** The whole pictures, as JPEG. */
  frames: string[];
  /** The same in other sizes and formats, narrowest and best compressed first. */
  sizes?: { width: number; height: number; type: string; frames: string[] }[];
  /** Degrees: 0 is the front, 90 the left side. */
  azimuths: number[];
  gaps?: number[];
  hotspots?: SpinHotspot[];
}

/** A close-up's place on one frame; those of one photo are one button that moves along. */
export interface SpinHotspot {
  frame: number;
  /** In shares of the picture's width and height. */
  x: number;
  y: number;
  photo: number;
  label: string;
  labels?: Record<string, string>;
  image: string;
  thumbnail?: string;
}

export interface SpinWords {
  lang: string;
  label: string;
  views: string[];
  hint: string;
  loading: string;
  start: string;
  tools: string;
  play: string;
  pause: string;
  in: string;
  out: string;
  full: string;
  close: string;
  retry: string;
  failed: string;
  missing: string;
}

export declare class OklaSpin extends HTMLElement {
  /** Words that come before those of `languages`, on every element. */
  static words: Partial<SpinWords>;
  static languages: Record<string, SpinWords>;
  frame: number;
  readonly playing: boolean;
  play(): void;
  pause(): void;
  /** load() loads it now; set, it is the attribute. */
  get load(): () => void;
  set load(when: "visible" | "click");
}

export declare class OklaPanorama extends HTMLElement {
  static words: Record<string, Record<string, string>>;
  /** Degrees: to the right, upwards, and across the shorter side. */
  yaw: number;
  pitch: number;
  fov: number;
}

type Told<T> = CustomEvent<T & { by: By }>;

declare global {
  interface HTMLElementTagNameMap {
    "okla-spin": OklaSpin;
    "okla-panorama": OklaPanorama;
  }
  interface HTMLElementEventMap {
    "okla-spin-progress": Told<{ loaded: number; frames: number }>;
    "okla-spin-ready": Told<{ frames: number }>;
    "okla-spin-frame": Told<{ frame: number; azimuth: number; view: string }>;
    "okla-spin-play": Told<{ playing: boolean }>;
    "okla-spin-drag": Told<{ frames: number }>;
    "okla-spin-zoom": Told<{ zoom: number }>;
    "okla-spin-fullscreen": Told<{ on: boolean }>;
    "okla-spin-hotspot": Told<{ photo: number; frame: number; label: string }>;
    "okla-spin-error": Told<{ message: string }>;
    "okla-panorama-ready": Told<{ width: number }>;
    "okla-panorama-move": Told<{ yaw: number; pitch: number; fov: number }>;
    "okla-panorama-error": Told<{ message: string }>;
  }
}
