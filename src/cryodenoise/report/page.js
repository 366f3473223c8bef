"use strict";
for (const compare of document.querySelectorAll(".compare")) {
  const examples = [...compare.parentElement.querySelectorAll(".example")];
  const stage = compare.querySelector(".stage");
  const slider = compare.querySelector("input");
  const [patch, pair] = compare.querySelectorAll("select");

  function part(kind, name) {
    const made = document.createElement(kind);
    made.className = name;
    stage.append(made);
    return made;
  }
  const right = part("img", "right"), left = part("img", "left");
  const leftName = part("span", "name-left"), rightName = part("span", "name-right");
  part("div", "edge");

  function show() {
    const panels = [...examples[patch.value].querySelectorAll(".panels div")];
    const [first, second] = pair.value.split(",").map((place) => panels[place]);
    for (const [image, name, panel] of [[left, leftName, first], [right, rightName, second]]) {
      const shown = panel.querySelector("img");
      image.src = shown.src;
      image.alt = shown.alt;
      name.textContent = panel.querySelector("span").textContent;
      stage.style.aspectRatio = `${shown.getAttribute("width")} / ${shown.getAttribute("height")}`;
    }
  }
  function slide() {
    stage.style.setProperty("--at", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", `${slider.value} % ${leftName.textContent}, the rest ${rightName.textContent}`);
  }
  function drag(event) {
    if (event.buttons & 1) {
      const box = stage.getBoundingClientRect();
      slider.value = String(Math.round(100 * (event.clientX - box.left) / box.width));
      slide();
    }
  }
  for (const choice of [patch, pair]) {
    choice.addEventListener("change", () => { show(); slide(); });
  }
  slider.addEventListener("input", slide);
  stage.addEventListener("pointerdown", drag);
  stage.addEventListener("pointermove", drag);
  stage.addEventListener("dragstart", (event) => event.preventDefault());
  show();
  slide();
  compare.hidden = false;
}
addEventListener("beforeprint", () => {
  for (const closed of document.querySelectorAll("details")) closed.open = true;
});
