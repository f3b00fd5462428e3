// The window's title and icon, and what a screen reader is told of by itself.

const announced = {
  state: null,
  state_text: null,
  connection: null
};
function announce(status, connection) {
  const parts = [];
  if (
    status && status.state_text !== announced.state_text &&
    (status.state !== announced.state || status.state !== "running"))
    parts.push(String(status.state_text ?? status.state));
  if (
    connection !== announced.connection &&
    (connection === "lost" || announced.connection === "lost"))
    parts.push(connection === "lost" ? "connection lost" : "connected again");
  if (status) {
    announced.state = status.state;
    announced.state_text = status.state_text;
  }
  announced.connection = connection;
  if (parts.length > 0) text($("announce"), parts.join(", "));
}

const kIconColour = {
  live: "#2f7fd1",
  good: "#2c9a4b",
  warn: "#d39a2c",
  bad: "#d8434c",
  idle: "#8a949e"
};
function show_title(status) {
  const done = fraction(status);
  const parts = [
    done === null ? null : `${Math.floor(done * 100)} %`, status.run,
    status.state === "none" ? "no attempt" : status.state
  ];
  const title = `${document.body.dataset.connection === "lost" ? "? " : ""}${
    plain(parts.filter(Boolean).join(" ")).slice(0, 100)} – lockstep`;
  if (document.title !== title) document.title = title;
  const tone = tone_of(status);
  if (document.body.dataset.tone !== tone || !$("icon").dataset.tone) {
    document.body.dataset.tone = tone;
    $("icon").dataset.tone = tone;
    const circle = `<circle cx="8" cy="8" r="6" fill="${kIconColour[tone]}"/>`;
    const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">${circle}</svg>`;
    $("icon").href = `data:image/svg+xml,${encodeURIComponent(icon)}`;
  }
}
