// Shows the values of a chart under the pointer. Everything is put in as text, never as HTML.
for (const svg of document.querySelectorAll(".chart")) {
  const chart = JSON.parse(svg.dataset.chart), cursor = svg.querySelector(".cursor");
  const tip = svg.parentElement.querySelector(".tip");
  const nearest = (points, x) => points.reduce((a, b) => (Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a));
  const hide = () => { tip.hidden = true; cursor.style.visibility = "hidden"; };
  const show = (event) => {
    const box = svg.getBoundingClientRect(), scale = chart.width / box.width;
    const share = ((event.clientX - box.left) * scale - chart.left) / (chart.right - chart.left);
    const wanted = chart.low + Math.min(1, Math.max(0, share)) * (chart.high - chart.low);
    const x = nearest(chart.lines.map((line) => nearest(line.points, wanted)), wanted)[0];
    const at = chart.left + ((x - chart.low) / (chart.high - chart.low)) * (chart.right - chart.left);
    cursor.setAttribute("x1", at);
    cursor.setAttribute("x2", at);
    cursor.style.visibility = "visible";
    tip.replaceChildren(document.createTextNode(`${chart.x} ${x}`));
    for (const line of chart.lines) {
      const [px, py] = nearest(line.points, x);
      if (Math.abs(px - x) > (chart.high - chart.low) / 50) continue;
      const row = document.createElement("div");
      row.className = `c${line.colour}`;
      row.textContent = `${line.label} ${py}`;
      tip.append(row);
    }
    tip.hidden = false;
    const place = box.left - svg.parentElement.getBoundingClientRect().left + at / scale;
    const room = svg.parentElement.clientWidth - tip.offsetWidth - 4;
    const beside = at / scale < box.width / 2 ? place + 14 : place - tip.offsetWidth - 14;
    tip.style.left = `${Math.max(4, Math.min(room, beside))}px`;
    tip.style.top = `${svg.previousElementSibling.offsetHeight + 14}px`;
  };
  svg.addEventListener("pointermove", show);
  svg.addEventListener("pointerdown", show);
  svg.addEventListener("pointerleave", hide);
}
