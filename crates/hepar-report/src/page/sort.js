// Sorts the rows of a table by the column whose title is clicked: first up, then down.
(() => {
  "use strict";
  for (const table of document.querySelectorAll("table[data-sort]")) {
    const titles = [...table.tHead.rows[0].cells];
    titles.forEach((title, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...title.childNodes);
      title.append(button);
      button.addEventListener("click", () => {
        const up = title.getAttribute("aria-sort") !== "ascending";
        titles.forEach((other) => other.removeAttribute("aria-sort"));
        title.setAttribute("aria-sort", up ? "ascending" : "descending");
        const numeric = title.dataset.kind === "number";
        const key = (row) => {
          const cell = row.cells[column];
          if (!numeric) return cell.textContent;
          return cell.dataset.key === undefined ? NaN : Number(cell.dataset.key);
        };
        const order = (a, b) => {
          const [left, right] = [key(a), key(b)];
          if (!numeric) return (up ? 1 : -1) * left.localeCompare(right, undefined, { numeric: true });
          // What has no number goes last either way.
          if (Number.isNaN(left) || Number.isNaN(right)) return Number.isNaN(left) - Number.isNaN(right);
          return up ? left - right : right - left;
        };
        const body = table.tBodies[0];
        body.append(...[...body.rows].sort(order));
      });
    });
  }
})();
