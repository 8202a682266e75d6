"use strict";

for (const divide of document.querySelectorAll(".divide")) {
  const follow = () => divide.parentElement.style.setProperty("--at", `${divide.value}%`);
  divide.addEventListener("input", follow);
  follow();
}

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
    every.textContent = on ? "Hide masks" : "Show masks";
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
  picture.src = links[current].href;
  picture.alt = photo.querySelector(".after").alt;
  words.textContent = `${photo.querySelector("h3").textContent} · ${current + 1} of ${links.length}`;
  if (!lightbox.open) lightbox.showModal();
};

links.forEach((link, index) => link.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab, as for any link
  event.preventDefault();
  enlarge(index);
}));
for (const spot of document.querySelectorAll(".spot")) {
  spot.addEventListener("click", (event) => {
    const photo = document.querySelector(spot.hash);
    event.preventDefault();
    enlarge(links.findIndex((link) => photo.contains(link)));
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
  if (event.pointerType !== "mouse" && Math.abs(way) > 50) enlarge(current - Math.sign(way));
});
lightbox.addEventListener("close", () => lightbox.firstElementChild.removeAttribute("src"));
