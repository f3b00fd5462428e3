// Strokes and marks of the lineage's graph.

function sized(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const wide = Math.round(width * ratio), high = Math.round(height * ratio);
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
  }
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = `12px ${Chart.defaults.font.family}`;
  return context;
}

function draw_mark(context, x, y, checkpoint, is_latest) {
  context.lineWidth = 1.5;
  context.setLineDash([]);
  if (checkpoint.state === "damaged") {
    context.strokeStyle = colour("bad");
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(x - 4, y - 4);
    context.lineTo(x + 4, y + 4);
    context.moveTo(x + 4, y - 4);
    context.lineTo(x - 4, y + 4);
    context.stroke();
  } else if (checkpoint.state === "not finite") {
    context.fillStyle = colour("warn");
    context.beginPath();
    context.moveTo(x, y - 5);
    context.lineTo(x + 5, y);
    context.lineTo(x, y + 5);
    context.lineTo(x - 5, y);
    context.fill();
  } else {
    context.beginPath();
    context.arc(x, y, is_latest ? 4.5 : 3.5, 0, 7);
    if (checkpoint.state === "good") {
      context.fillStyle = colour("accent");
      context.fill();
    } else {
      context.fillStyle = colour("panel");
      context.fill();
      context.strokeStyle = colour("dim");
      context.stroke();
    }
  }
  if (checkpoint.best) {
    context.strokeStyle = colour("accent");
    context.beginPath();
    context.arc(x, y, 7, 0, 7);
    context.stroke();
  }
  if (checkpoint.pinned) {
    context.strokeStyle = colour("text");
    context.strokeRect(x - 6.5, y - 6.5, 13, 13);
  }
}

function draw_axis(width, x_of, low, high) {
  const context = sized($("lineage-axis"), width, 20);
  const rough = (high - low) / clamp(Math.floor(width / 130), 2, 8);
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  const step =
    [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? power * 10;
  context.fillStyle = colour("muted");
  context.textAlign = "center";
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) {
    const x = x_of(value);
    context.fillText(integer(value), clamp(x, 18, width - 18), 12);
    context.fillRect(Math.round(x), 16, 1, 4);
  }
}

// strong: of the newest lineage.
function set_line(context, strong) {
  context.strokeStyle = colour(strong ? "accent" : "dim");
  context.lineWidth = strong ? 2 : 1.2;
  context.setLineDash(strong ? [] : [4, 3]);
}

function draw_lane(context, lane, y, x_of) {
  const line = (from, to, strong) => {
    if (!(to > from)) return;
    set_line(context, strong);
    context.beginPath();
    context.moveTo(x_of(from), y);
    context.lineTo(x_of(to), y);
    context.stroke();
  };
  line(lane.begin, Math.min(lane.end, lane.until), true);
  line(Math.max(lane.begin, Math.min(lane.until, lane.end)), lane.end, false);
}

function draw_connector(context, lane, y, parent_y, x_of) {
  const x = x_of(lane.begin), bend = parent_y > y ? 6 : -6;
  set_line(context, lane.attempt.in_lineage);
  context.beginPath();
  context.moveTo(x, parent_y);
  context.lineTo(x, y + bend);
  context.lineTo(x + 1, y);
  context.stroke();
}

// Before a lane that begins nobody knows from where.
function draw_unknown_parent(context, x, y) {
  context.save();
  context.fillStyle = colour("warn");
  context.font = `bold ${context.font}`;
  context.textAlign = "center";
  context.fillText("?", x - 13, y + 4);
  context.restore();
}
