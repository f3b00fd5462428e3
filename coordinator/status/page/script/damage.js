// Records that are damaged.

const kMostDamage = 200;
function show_damage(status) {
  const damaged = list(status.damaged);
  $("damage-empty").hidden = damaged.length > 0;
  $("damage-part").hidden = damaged.length === 0;
  const count = Math.min(damaged.length, kMostDamage);
  const left_out = damaged.length - count;
  const lines = rows(
    $("damage-rows"), count + (left_out > 0 ? 1 : 0),
    () => make("tr", {}, make("td", {class: "mono"}), make("td")));
  for (let index = 0; index < count; index += 1) {
    text(lines[index].children[0], String(damaged[index].file));
    text(lines[index].children[1], String(damaged[index].why));
  }
  if (left_out > 0) {
    text(lines[count].children[0], `${integer(left_out)} more`);
    text(lines[count].children[1], "lockstep verify names them all");
  }
}
