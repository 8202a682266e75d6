"use strict";

// The page holds both languages; the browser's is shown.
const spanish = navigator.language.startsWith("es");
if (spanish) {
  document.documentElement.lang = "es";
  for (const one of document.querySelectorAll("[data-es]")) one.textContent = one.dataset.es;
  for (const name of ["aria-label", "alt", "title"]) {
    for (const one of document.querySelectorAll(`[data-es-${name}]`)) {
      one.setAttribute(name, one.getAttribute(`data-es-${name}`));
    }
  }
}

for (const divide of document.querySelectorAll(".divide")) {
  const follow = () => divide.parentElement.style.setProperty("--at", `${divide.value}%`);
  // A finger is followed once it goes across: Chrome's own slider jumps to one that scrolls the page, and
  // an iPhone's needs its thumb, of which nothing is seen here.
  let from = null, kept = "";
  divide.addEventListener("pointerdown", (event) => {
    from = event.pointerType === "mouse" ? null : [event.clientX, event.clientY];
    kept = divide.value;
  });
  for (const type of ["pointermove", "pointerup", "pointercancel"]) {
    divide.addEventListener(type, ({ clientX, clientY }) => {
      if (!from) return;
      const across = Math.abs(clientX - from[0]);
      if (type === "pointerup" || (across > 4 && across > Math.abs(clientY - from[1]))) {
        const box = divide.getBoundingClientRect();
        divide.value = kept = (100 * (clientX - box.left)) / box.width;
        follow();
      }
      if (type !== "pointermove") from = null;
    });
  }
  divide.addEventListener("input", () => {
    if (from) divide.value = kept;
    follow();
  });
  divide.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -5, ArrowDown: -5, PageDown: -20, ArrowRight: 5, ArrowUp: 5, PageUp: 20 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    divide.value = +divide.value + steps[event.key];
    follow();
  });
  follow();
}

// A poster has no loading="lazy" of its own.
const near = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    target.poster = target.dataset.poster;
    near.unobserve(target);
  }
}, { rootMargin: "400px" });
for (const film of document.querySelectorAll("video")) near.observe(film);

// Masks are fetched when first asked for.
const showMask = (button, on) => {
  const matte = button.closest(".photo").querySelector(".matte");
  const picture = matte.firstElementChild;
  if (on && !picture.src) picture.src = picture.dataset.src;
  matte.hidden = !on;
  button.ariaPressed = on;
};
for (const button of document.querySelectorAll("button.mask")) {
  button.addEventListener("click", () => showMask(button, button.ariaPressed !== "true"));
}
for (const every of document.querySelectorAll("button.masks")) {
  every.addEventListener("click", () => {
    const on = every.ariaPressed !== "true";
    every.ariaPressed = on;
    for (const button of every.closest("section").querySelectorAll("button.mask")) showMask(button, on);
  });
}

const lightbox = document.getElementById("lightbox");
const links = [...document.querySelectorAll(".enlarge")];
let current = 0;

const enlarge = (index) => {
  current = (index + links.length) % links.length;
  const photo = links[current].closest(".photo");
  const [picture, words] = lightbox.children;
  picture.removeAttribute("src"); // else the photo before stays over the next one's words
  picture.src = links[current].href;
  picture.alt = photo.querySelector(".after").alt;
  lightbox.classList.toggle("single", links.length < 2);
  words.textContent = `${photo.querySelector("h3").textContent} · ${current + 1} ${spanish ? "de" : "of"} ${links.length}`;
  if (!lightbox.open) lightbox.showModal();
};

links.forEach((link, index) => link.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab, as for any link
  event.preventDefault();
  enlarge(index);
}));
// What has no slider over it is enlarged by a click on itself, too.
links.forEach((link, index) => {
  const picture = link.closest(".photo").querySelector(".picture");
  if (picture.querySelector(".divide")) return;
  picture.style.cursor = "zoom-in";
  picture.addEventListener("click", (event) => event.target.closest("a") || enlarge(index));
});
for (const spot of document.querySelectorAll(".spot")) {
  spot.addEventListener("click", (event) => {
    const photo = document.querySelector(spot.hash);
    const index = links.findIndex((link) => photo?.contains(link));
    if (index < 0) return; // one that is kept back: the link leads to it
    event.preventDefault();
    enlarge(index);
  });
}
lightbox.addEventListener("click", (event) => {
  const name = event.target.className;
  if (name === "previous") enlarge(current - 1);
  else if (name === "next") enlarge(current + 1);
  else if (name === "close" || event.target === lightbox) lightbox.close();
});
lightbox.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") enlarge(current - 1);
  if (event.key === "ArrowRight") enlarge(current + 1);
});
let swipe = 0;
lightbox.addEventListener("pointerdown", (event) => { swipe = event.clientX; });
lightbox.addEventListener("pointerup", (event) => {
  const way = event.clientX - swipe;
  if (event.pointerType === "mouse" || magnified()) return;
  if (Math.abs(way) > 50) enlarge(current - Math.sign(way));
});
// Once two fingers have magnified it, one moves it, and no other photo comes.
const magnified = () => visualViewport.scale > 1.01;
visualViewport.addEventListener("resize", () => lightbox.classList.toggle("magnified", magnified()));
lightbox.firstElementChild.addEventListener("load", () => { // the next one, while one looks
  if (!navigator.connection?.saveData) new Image().src = links[(current + 1) % links.length].href;
});
lightbox.addEventListener("close", () => lightbox.firstElementChild.removeAttribute("src"));
