(function () {
  "use strict";
  const all = (selector, parent) => Array.from((parent || document).querySelectorAll(selector));

  // A link, also one from outside, opens the section that it leads to.
  function openTarget() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const fold = target && target.closest("details");
    if (!fold) return;
    fold.open = true;
    target.scrollIntoView();
  }

  function sortBy(table, column, header) {
    const down = header.getAttribute("aria-sort") === "ascending";
    const text = (row) => (row.cells[column].firstChild || row).textContent.replace(/\s/g, "");
    const sorted = Array.from(table.tBodies[0].rows).sort((one, other) => {
      const [a, b] = [parseFloat(text(one)), parseFloat(text(other))];
      if (isNaN(a) && isNaN(b)) return (down ? -1 : 1) * text(one).localeCompare(text(other));
      return isNaN(a) || isNaN(b) ? isNaN(a) - isNaN(b) : (down ? -1 : 1) * (a - b);
    });
    table.tBodies[0].append(...sorted);
    all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
  }

  function setUpPicker(picker) {
    const choices = JSON.parse(picker.querySelector(".choices").textContent);
    const range = picker.querySelector("[type=range]");
    const number = picker.querySelector("[type=number]");
    const label = picker.querySelector("label").textContent.toLowerCase();
    const rows = all("tbody tr", picker);
    const figure = document.getElementById(picker.dataset.figure);
    const { x: places, top, bottom } = JSON.parse(figure.dataset.places);
    const svg = figure.querySelector("svg");
    const field = (name) => picker.querySelector(`[data-field="${name}"]`);
    const closest = (away) => away.indexOf(Math.min(...away));
    const nearest = (at) => closest(choices.map((choice) => Math.abs(choice.at - at)));

    function moveCursor(at) {
      all(".cursor", svg).forEach((old) => old.remove());
      if (places[at] === undefined) return;
      const add = (name, attributes) => {
        const made = svg.appendChild(document.createElementNS(svg.namespaceURI, name));
        for (const key in attributes) made.setAttribute(key, attributes[key]);
        return made;
      };
      add("line", { class: "cursor", x1: places[at], x2: places[at], y1: top, y2: bottom });
      add("text", { class: "cursor", x: places[at], y: top - 3 }).textContent = "h = " + at;
    }
    function show(index, source) {
      const choice = choices[index];
      if (source !== range) range.value = index;
      if (source !== number) number.value = choice.at;
      range.setAttribute("aria-valuetext", `${label} ${choice.at}`);
      for (const name of ["at", "badge", "text"]) field(name).textContent = choice[name];
      field("badge").dataset.strong = choice.strong;
      choice.rows.forEach((cells, row) => {
        rows[row].classList.toggle("absent", cells[0] === "–");
        cells.forEach((text, column) => { rows[row].cells[column + 1].textContent = text; });
      });
      all("table.sortable tbody tr").forEach((row) => {
        row.classList.toggle("current", row.cells[0].textContent === String(choice.at));
      });
      moveCursor(choice.at);
    }
    // What was measured at a place stands beside it, the best first.
    const place = figure.querySelector(".scroll");
    const readout = place.appendChild(Object.assign(document.createElement("div"), { className: "readout", hidden: true }));
    readout.setAttribute("role", "status");
    function read(index) {
      const { at, badge, rows: texts } = choices[index];
      const line = (...parts) => {
        const made = document.createElement("div");
        made.append(...parts);
        return made;
      };
      const strong = (text) => Object.assign(document.createElement("strong"), { textContent: text });
      const found = texts.map((cells, row) => ({ row, cells, value: parseFloat(cells[0]) }));
      const best = found.filter(({ value }) => !isNaN(value)).sort((a, b) => b.value - a.value);
      const shown = best.filter(({ row }, rank) => rank < 8 || row === 0);
      const lines = shown.map(({ row, cells }) => {
        const head = document.createElement("span");
        head.append(...Array.from(rows[row].cells[0].childNodes, (node) => node.cloneNode(true)));
        return line(head, strong([cells[0], cells[1]].join(" ").trim()));
      });
      const more = Object.assign(document.createElement("a"), { href: "#" + picker.closest("details").id });
      more.textContent = `All ${texts.length} at this ${label}`;
      readout.replaceChildren(line(strong(`h = ${at}`), badge), ...lines, more);
      readout.hidden = false;
      const [inner, outer] = [svg.getBoundingClientRect(), place.getBoundingClientRect()];
      const x = inner.left - outer.left + place.scrollLeft + (places[at] * inner.width) / svg.viewBox.baseVal.width;
      const room = readout.offsetWidth + 8;
      readout.style.left = `${Math.max(x + room < place.scrollLeft + outer.width ? x + 8 : x - room, 0)}px`;
      readout.style.top = `${inner.top - outer.top + 22}px`;
    }
    let wide = innerWidth;  // a phone also changes the height of its window, when it scrolls
    window.addEventListener("resize", () => { if (innerWidth !== wide) readout.hidden = true; wide = innerWidth; });
    window.addEventListener("keydown", (event) => { if (event.key === "Escape") readout.hidden = true; });
    range.addEventListener("input", () => show(Number(range.value), range));
    number.addEventListener("input", () => number.value !== "" && show(nearest(Number(number.value)), number));
    number.addEventListener("change", () => show(nearest(Number(number.value || 0))));
    picker.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
    svg.addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) * svg.viewBox.baseVal.width) / box.width;
      const index = closest(choices.map((choice) => Math.abs((places[choice.at] ?? Infinity) - x)));
      show(index);
      read(index);
    });
    figure.classList.add("pickable");
    show(Number(range.value));
  }

  all("table.sortable").forEach((table) => all("thead th", table).forEach((header, column) => {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "sort" });
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => sortBy(table, column, header));
  }));
  all(".picker").forEach(setUpPicker);
  all(".js-only").forEach((part) => part.removeAttribute("hidden"));
  window.addEventListener("hashchange", openTarget);
  openTarget();
})();
