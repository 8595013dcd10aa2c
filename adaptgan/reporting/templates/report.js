"use strict";
for (const wipe of document.querySelectorAll(".wipe")) {
  const range = wipe.querySelector("input");
  const show = () => wipe.style.setProperty("--cut", range.value + "%");
  range.addEventListener("input", show);
  show();
}
for (const film of document.querySelectorAll(".film")) {
  const range = film.querySelector("input");
  const frames = [...film.querySelectorAll("img")];
  const label = film.querySelector("output");
  range?.addEventListener("input", () => {
    frames.forEach((frame, i) => { frame.hidden = i !== Number(range.value); });
    label.textContent = "step " + frames[range.value].dataset.step;
  });
}
const plain = (value) => Number(value.toPrecision(3)).toString().replace("-", "−");
for (const run of document.querySelectorAll(".run")) {
  const curves = [...run.querySelectorAll(".curve")].map((figure) => ({
    svg: figure.querySelector("svg"),
    cursor: figure.querySelector(".cursor"),
    output: figure.querySelector("output"),
    last: figure.querySelector("output").textContent,
    steps: JSON.parse(figure.dataset.steps),
    values: JSON.parse(figure.dataset.values),
  }));
  const at = (step) => {
    for (const { svg, cursor, output, steps, values } of curves) {
      let i = steps.findIndex((known) => known >= step);
      if (i < 0) i = steps.length - 1;
      const span = Math.max(steps[steps.length - 1] - steps[0], 1);
      const x = svg.viewBox.baseVal.width * (steps[i] - steps[0]) / span;
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
      cursor.classList.add("on");
      output.textContent = plain(values[i]) + " at " + steps[i];
    }
  };
  const rest = () => {
    for (const { cursor, output, last } of curves) {
      cursor.classList.remove("on");
      output.textContent = last;
    }
  };
  for (const { svg, steps } of curves) {
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
      at(steps[0] + share * (steps[steps.length - 1] - steps[0]));
    });
    svg.addEventListener("pointerleave", rest);
  }
}
