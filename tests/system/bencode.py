"""Reads bencoded bytes (torrents, resume data) strictly: what is not whole or not canonical is an error."""


def decode(data):
    """Dictionaries with keys of bytes, lists, numbers, bytes. ValueError."""
    value, end = _value(data, 0)
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes behind the end")
    return value


def _value(data, at):
    kind = data[at:at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1:end]), end + 1
    if kind in (b"l", b"d"):
        items, at = [], at + 1
        while data[at:at + 1] != b"e":
            item, at = _value(data, at)
            items.append(item)
        if kind == b"l":
            return items, at + 1
        keys = items[::2]
        if len(items) % 2 or keys != sorted(set(keys)):
            raise ValueError("a dictionary whose keys are not in order")
        return dict(zip(keys, items[1::2])), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    if end > len(data):
        raise ValueError("a text without its end")
    return data[colon + 1:end], end
