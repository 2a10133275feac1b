"use strict";
// Keys for those who decide all day: from case to case, and a decision by its number. Everything works without them.

const SWITCH = "keys";

function enabled() {
  return localStorage.getItem(SWITCH) !== "off";
}

function typing(target) {
  return target.matches("textarea, select, input:not([type=radio]):not([type=checkbox])");
}

function moveInQueue(step) {
  const cases = [...document.querySelectorAll("a.case")];
  const now = cases.indexOf(document.activeElement);
  const next = cases[Math.min(Math.max(now + step, 0), cases.length - 1)];
  if (next) next.focus();
}

function pressed(event) {
  if (!enabled() || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  const key = event.key.toLowerCase();
  const link = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  const choices = [...document.querySelectorAll(".decide input[type=radio]")];
  if (link) {
    link.click();
  } else if (key === "j" || key === "k") {
    moveInQueue(key === "j" ? 1 : -1);
  } else if (key === "d" && choices.length) {
    (choices.find((each) => each.checked) || choices[0]).focus();
  } else if (/^[1-8]$/.test(key) && choices[key - 1]) {
    choices[key - 1].click();
    choices[key - 1].focus();
  } else {
    return;
  }
  event.preventDefault();
}

function begin() {
  const line = document.querySelector(".keys");
  if (!line) return;
  const box = line.querySelector("#keys");
  line.hidden = false;
  box.checked = enabled();
  box.addEventListener("change", () => localStorage.setItem(SWITCH, box.checked ? "on" : "off"));
  document.addEventListener("keydown", pressed);
}

begin();
