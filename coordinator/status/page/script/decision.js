// The restore decision, from /api/decision.

const padded = (attempt) => String(attempt).padStart(4, "0");

function verdict(decision) {
  const as = is_number(decision.attempt) ? `, as attempt ${decision.attempt}` : "";
  const run = decision.run ? ` of run ${decision.run}` : "";
  if (decision.kind === "fresh") return `fresh${as}${run}`;
  if (decision.kind === "restore")
    return `restore ${decision.source ?? name_of(decision.parent)}${as}${run}`;
  if (decision.kind === "finished")
    return `nothing left to train${run}${
      decision.parent ? `, at ${name_of(decision.parent)}` : ""}`;
  return `${decision.kind}${as}${run}`;
}

function show_decision() {
  const decision = known.decision;
  $("decision-empty").hidden = decision !== null;
  $("decision-part").hidden = decision === null;
  const unreadable =
    list(own(known.status, "damaged"))
      .some(({file}) => file === `attempts/${padded(known.status.attempt)}/decision.json`);
  text($("decision-empty"), unreadable ? "Its record is damaged" : "No decision yet");
  if (decision === null) return;
  text($("decision-verdict"), verdict(decision));
  const reasons = list(decision.reasons).slice(0, 100);
  $("decision-because").hidden = reasons.length === 0;
  $("decision-reasons")
    .replaceChildren(...reasons.map((reason) => make("li", {text: String(reason)})));
  const rejected = list(decision.rejected).slice(0, 200);
  $("decision-rejected-part").hidden = rejected.length === 0;
  $("decision-rejected")
    .replaceChildren(...rejected.map(
      (candidate) => make(
        "tr", {}, make("td", {class: "id nowrap", text: name_of(candidate)}),
        make("td", {text: String(candidate.why)}))));
  const request = own(decision, "request");
  $("decision-request-part").hidden = request === null;
  text(
    $("decision-request"),
    typeof request === "object" && request !== null
      ? Object.entries(request)
          .map(([key,
                 value]) => `${key}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
          .join("\n")
      : String(request));
  const facts = [
    [
      "verified",
      own({headers: "headers", bytes: "every byte"}, decision.verified) ?? decision.verified
    ],
    ["exit code", decision.exit_code || decision.error ? decision.exit_code : null],
    ["error", decision.error], ["manifest digest", decision.manifest_digest]
  ].filter(([, value]) => value !== null && value !== undefined);
  $("decision-facts")
    .replaceChildren(...facts.map(
      ([title, value]) => make("div", {class: "long"}, make("dt", {text: title}), make("dd", {
                                 text: String(value),
                                 class: title === "error"        ? "bad-text"
                                   : title === "manifest digest" ? "mono"
                                                                 : ""
                               }))));
}
