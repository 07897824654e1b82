(function () {
  "use strict";
  const widths = JSON.parse(document.getElementById("data").textContent);
  const range = document.getElementById("width-range");
  const number = document.getElementById("width-number");
  const chosen = document.getElementById("chosen");
  const rows = document.querySelectorAll("#row tbody tr");
  const figure = document.getElementById("figure-width");
  const places = JSON.parse(figure.dataset.places);
  const pictures = Array.from(figure.querySelectorAll("svg"));

  function set(parent, field, text) {
    parent.querySelector(`[data-field="${field}"]`).textContent = text;
  }

  function nearest(width) {
    let best = 0;
    widths.forEach((entry, place) => {
      if (Math.abs(entry.width - width) < Math.abs(widths[best].width - width)) best = place;
    });
    return best;
  }

  function element(name, attributes, text) {
    const made = document.createElementNS(pictures[0].namespaceURI, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function moveCursor(width) {
    pictures.forEach((svg, place) => {
      const x = places[place].x[width];
      const old = svg.querySelector(".cursor");
      if (old) old.remove();
      if (x === undefined) return;
      const group = element("g", { class: "cursor" });
      group.append(
        element("line", { x1: x, x2: x, y1: places[place].top, y2: places[place].bottom }),
        element("text", { x: x, y: places[place].top - 3 }, "h = " + width)
      );
      svg.append(group);
    });
  }

  function show(place, source) {
    const entry = widths[place];
    if (source !== range) range.value = place;
    if (source !== number) number.value = entry.width;
    range.setAttribute("aria-valuetext", "width " + entry.width);
    for (const field of ["width", "params", "share", "macs", "kept"]) set(chosen, field, entry[field]);
    const badge = chosen.querySelector(".badge");
    badge.textContent = entry.seen ? "trained width" : "not trained";
    badge.dataset.seen = String(entry.seen);
    entry.cells.forEach((cell, at) => {
      const row = rows[at];
      row.classList.toggle("absent", cell.value === null);
      set(row, "accuracy", cell.accuracy);
      set(row, "spread", cell.spread ? "± " + cell.spread : "");
      set(row, "range", cell.range || cell.note);
      set(row, "n", cell.n || "");
      for (const field of ["loss", "params", "macs"]) set(row, field, cell[field]);
    });
    document.querySelectorAll(".all tbody tr").forEach((row) => {
      row.classList.toggle("current", row.cells[0].dataset.value === String(entry.width));
    });
    moveCursor(entry.width);
  }

  function pickAt(event, svg, place) {
    const scale = svg.viewBox.baseVal.width / svg.getBoundingClientRect().width;
    const x = (event.clientX - svg.getBoundingClientRect().left) * scale;
    let best = null;
    for (const width in places[place].x) {
      const away = Math.abs(places[place].x[width] - x);
      if (best === null || away < best.away) best = { width: Number(width), away: away };
    }
    if (best) show(nearest(best.width));
  }

  function sortBy(table, column, header) {
    const down = header.getAttribute("aria-sort") === "ascending";
    const value = (row) => row.cells[column].dataset.value;
    const sorted = Array.from(table.tBodies[0].rows).sort((a, b) => {
      if (value(a) === "" || value(b) === "") return (value(a) === "") - (value(b) === "");
      return (down ? -1 : 1) * (Number(value(a)) - Number(value(b)));
    });
    table.tBodies[0].append(...sorted);
    table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
  }

  document.querySelectorAll("table.sortable").forEach((table) => {
    table.querySelectorAll("thead th").forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => sortBy(table, column, header));
    });
  });

  range.addEventListener("input", () => show(Number(range.value), range));
  number.addEventListener("input", () => {
    if (number.value !== "") show(nearest(Number(number.value)), number);
  });
  number.addEventListener("change", () => show(nearest(Number(number.value || 0))));
  document.querySelector(".control").addEventListener("submit", (event) => event.preventDefault());
  pictures.forEach((svg, place) => {
    svg.addEventListener("click", (event) => pickAt(event, svg, place));
  });
  figure.classList.add("pickable");
  document.querySelectorAll(".js-only").forEach((part) => part.removeAttribute("hidden"));
  show(Number(range.value));
})();
