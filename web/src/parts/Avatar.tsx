/** Two letters and a colour that belong to a peer's id. */
export function Avatar({ id, name }: { id: string; name: string }) {
  let hash = 0;
  for (const letter of id) hash = (hash * 31 + letter.charCodeAt(0)) >>> 0;
  return (
    <span className="avatar" aria-hidden="true" style={{ background: `hsl(${hash % 360} 55% 30%)` }}>
      {[...name].slice(0, 2).join("").toUpperCase()}
    </span>
  );
}
