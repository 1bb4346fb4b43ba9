#!/usr/bin/env python3
"""Reads a segment of shmq by docs/format.md alone, and writes what it finds as JSON.

    reader.py docs/format.md /dev/shm/shmq.NAME

Every offset, width, number and state comes from the tables of that page; what stands here is the page's
prose: which places follow from the header, how a ring is walked, how a process is found to be alive.
It maps the file read-only and takes no lock.
"""

import fcntl
import json
import mmap
import os
import re
import struct
import sys

WORDS = {"u8": 1, "u32": 4, "u64": 8}


class Page:
    """The tables of the page, by the heading above each."""

    def __init__(self, path):
        self.tables, heading = {}, None
        with open(path, encoding="utf-8") as page:
            for line in page:
                if line.startswith("#"):
                    heading = line.lstrip("# ").strip()
                elif line.startswith("|") and heading is not None:
                    cells = [cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
                    self.tables.setdefault(heading, []).append(cells)
        for heading, rows in self.tables.items():
            self.tables[heading] = rows[2:]  # without the title and the line below it
        self.numbers = {name: int(value, 0) for value, name, *_ in self.tables["Numbers"]}

    def names(self, heading):
        return {int(value, 0): name for value, name, *_ in self.tables[heading]}

    def fields(self, heading):
        """(offset, element type, count, name) of each row."""
        for offset, kind, name, *_ in self.tables[heading]:
            element, count = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", kind).groups()
            yield int(offset, 0), element, int(count or 1), name

    def bits(self):
        for bits, name, *_ in self.tables["The header word"]:
            high, low = map(int, bits.split(".."))
            yield name, low, (1 << (high - low + 1)) - 1


class Segment:
    def __init__(self, page, path):
        self.page, self.path = page, path
        self.file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.bytes = os.fstat(self.file).st_size
        self.map = mmap.mmap(self.file, self.bytes, prot=mmap.PROT_READ)
        self.head = {name: offset for offset, _, _, name in page.fields("Head")}
        self.header = self.read("SegmentHeader", self.head["header"])
        if self.header["magic"] != page.numbers["MAGIC"]:
            raise SystemExit("no segment: the magic number is another one")
        if self.header["format"] != page.numbers["FORMAT"]:
            raise SystemExit(f"a segment of format {self.header['format']}")
        self.kind = page.names("Kinds")[self.header["kind"]]
        self.lay_out()

    def number(self, offset, width):
        return struct.unpack_from({1: "=B", 4: "=I", 8: "=Q"}[width], self.map, offset)[0]

    def read(self, heading, at):
        """The struct of that table, at that offset of the file."""
        found = {}
        for offset, element, count, name in self.page.fields(heading):
            if element == "u8":
                found[name] = bytes(self.map[at + offset : at + offset + count])
            elif element in WORDS:
                width = WORDS[element]
                words = [self.number(at + offset + i * width, width) for i in range(count)]
                found[name] = words[0] if count == 1 else words
            else:
                found[name] = self.read(element, at + offset)
        return found

    def lay_out(self):
        header, numbers = self.header, self.page.numbers
        page_bytes = numbers["PAGE_BYTES"]
        up = lambda at: -(-at // page_bytes) * page_bytes  # noqa: E731 - the page's name for it
        subscribers = header["max_subscribers"]
        self.name_byte = numbers["ENTRIES_OFFSET"] + header["max_participants"] * numbers["ENTRY_BYTES"]
        self.structure = self.name_byte + 64
        self.topic = up(self.structure + header["structure_len"] + header["dead_letters_len"])
        self.cells = self.topic + (up(128 + subscribers * 64) if subscribers else 0)
        total = self.cells + header["cells"] * header["cell_bytes"]
        if not total == header["total_bytes"] == self.bytes:
            raise SystemExit(f"the layout has {total} bytes, the header {header['total_bytes']}, the file {self.bytes}")
        self.index_bits = (header["cells"] - 1).bit_length()
        self.is_sized = self.kind in ("Sized", "TopicSized")
        self.has_ring = self.is_sized or self.kind in ("Slice", "Encoded", "TopicSlice", "TopicEncoded")
        least = 8 if header["message_bytes"] < 1024 else 64
        sized = max(least, header["message_align"])
        self.payload_offset = sized if self.is_sized else header["cell_bytes"]

    # Participants, and how a process is found to be alive

    def is_held(self, offset):
        """Does another description hold a write lock on this byte?"""
        asked = struct.pack("@hhqqi", fcntl.F_RDLCK, os.SEEK_SET, offset, 1, 0)
        told = fcntl.fcntl(self.file, fcntl.F_OFD_GETLK, asked)
        return struct.unpack_from("@h", told)[0] != fcntl.F_UNLCK

    def entry(self, number):
        at = self.page.numbers["ENTRIES_OFFSET"] + number * self.page.numbers["ENTRY_BYTES"]
        return at, self.read("Entry", at)

    def participants(self):
        for number in range(self.header["max_participants"]):
            at, entry = self.entry(number)
            if entry["pid"] != 0:
                yield {"number": number, "alive": self.is_held(at), **entry}

    def process_of(self, participant_id):
        """Pid of the process with that id, if it lives."""
        number, generation = participant_id & 0x3FF, participant_id >> 10
        if participant_id == 0 or generation == 0 or number >= self.header["max_participants"]:
            return None
        at, _ = self.entry(number)
        # The lock first, the generation behind it.
        if not self.is_held(at):
            return None
        _, entry = self.entry(number)
        return entry["pid"] if entry["generation"] == generation else None

    # The ring

    def cell(self, position):
        index = position & ((1 << self.index_bits) - 1)
        if index >= self.header["cells"]:
            raise ValueError(f"position {position:#x} has no cell")
        return self.cells + index * self.header["cell_bytes"]

    def after(self, position, cells):
        index = (position & ((1 << self.index_bits) - 1)) + cells
        if index < self.header["cells"]:
            return position + cells
        if index == self.header["cells"]:
            return ((position >> self.index_bits) + 1) << self.index_bits
        raise ValueError(f"the record at {position:#x} leads out of the ring")

    def linear(self, position):
        lap, index = position >> self.index_bits, position & ((1 << self.index_bits) - 1)
        return lap * self.header["cells"] + index

    def sequence(self, position):
        return self.number(self.cell(position) + 8, 8)

    def side(self, name):
        heading = {"put": "PutSide", "get": "GetSide"}[name]
        return self.read(heading, self.head[name])

    def walk(self, at):
        """The records from there to the FREE word, and where that is. Of a ring that stands still."""
        states = self.page.names("Record states")
        records = []
        for _ in range(2 * self.header["cells"]):
            cell = self.cell(at)
            word = self.number(cell, 8)
            record = {name: word >> low & mask for name, low, mask in self.page.bits()}
            record["state"] = states.get(record["state"], "garbage")
            if record["state"] == "FREE":
                if word != 0:
                    raise ValueError(f"garbage at {at:#x}")
                return records, at
            cells = 1 if self.is_sized else 1 + -(-record["length"] // self.header["cell_bytes"])
            payload = cell + self.payload_offset
            record["position"] = at
            record["payload"] = self.map[payload : payload + record["length"]].hex()
            record["number"] = self.linear(at) if self.is_sized else self.sequence(at)
            records.append(record)
            at = self.after(at, cells)
        raise ValueError("no end")

    def steady_walk(self):
        for _ in range(64):
            put = self.side("put")
            start = self.topic_words()["reclaim"] if self.header["max_subscribers"] else put["reclaim"]
            try:
                records, end = self.walk(start)
            except ValueError:
                records = None
            now = self.side("put")
            if records is not None and now == put:
                return records, end
        raise SystemExit("the records hold garbage, or move too fast for this reader")

    def queue(self):
        put, get = self.side("put"), self.side("get")
        records, end = self.steady_walk()
        count = lambda state: sum(record["state"] == state for record in records)  # noqa: E731
        ahead = [r for r in records if r["state"] == "READY" and r["position"] >= get["head"]]
        behind = [r for r in records if r["state"] == "RETURNED" and r["position"] < get["head"]]
        published = self.linear(end) if self.is_sized else self.sequence(end)
        return {
            "messages": len(ahead) + len(behind),
            "on_lease": count("LEASED"),
            "on_loan": count("CLAIMED"),
            "viewed": count("READ"),
            "puts": published + put["taken_back"],
            "gets": get["copies"] + get["leases"],
            "end": end,
            "records": records,
        }

    # Topics

    def topic_words(self):
        return self.read("TopicWords", self.topic)

    def subscribers(self):
        standings, words = self.page.names("Standings"), self.topic_words()
        for number in range(min(words["lines_end"], self.header["max_subscribers"])):
            line = self.read("SubscriberLine", self.topic + 128 + number * 64)
            standing = standings[line["state"] & 15]
            if standing != "Free":
                pid = self.process_of(line["state"] >> 32)
                yield {**line, "line": number, "standing": standing, "pid": pid, "generation": line["state"] >> 4 & 0xFFFFFFF}

    def topic_report(self):
        records, end = self.steady_walk()
        published = self.linear(end) - self.header["cells"] if self.is_sized else self.sequence(end)
        subscribers = list(self.subscribers())
        for line in subscribers:
            number = self.linear(line["cursor"]) - self.header["cells"] if self.is_sized else line["number"]
            line["behind"] = published - number
        return {"words": self.topic_words(), "puts": published, "subscribers": subscribers, "records": records, "end": end}

    # Primitives

    def primitive(self):
        words_of = {"Array": "MutexWords", "Mutex": "MutexWords", "Value": "ValueWords", "Event": "EventWords"}
        words_of |= {"Semaphore": "SemaphoreWords", "Barrier": "BarrierWords", "Condvar": "PlacesWords"}
        words_of |= {"Lock": "LockWords", "ReentrantLock": "LockWords"}
        words = self.read(words_of[self.kind], self.cells)
        header, data = self.header, self.cells + max(self.page.numbers["PRIMITIVE_DATA_OFFSET"], self.header["message_align"])
        size = header["message_bytes"]
        found = {"words": words}
        if self.kind == "Mutex":
            found["data"] = self.map[data : data + size].hex()
        elif self.kind == "Array":
            found["data"] = self.map[data : data + size * header["capacity"]].hex()
        elif self.kind == "Value":
            step = max(64, header["message_align"])
            data += (words["changes"] & 1) * (-(-size // step) * step)
            found["data"] = self.map[data : data + size].hex()
        elif self.kind == "Event":
            found["is_set"] = words["changes"] & 1 == 1
        elif self.kind in ("Semaphore", "Barrier"):
            held = 0
            for number in range(header["max_participants"]):
                word = self.number(data + number * 8, 8)
                if word & 0xFFFFFFFF and self.process_of((word >> 32) << 10 | number) is not None:
                    held += word & 0xFFFFFFFF
            found["counted"] = held
            if self.kind == "Semaphore":
                found["free"] = words["total"] - held
        elif self.kind in ("Lock", "ReentrantLock"):
            found["holder"] = self.process_of(words["hold"] >> 32)
        return found

    # All of it

    def text(self, name):
        return self.header[name][: self.header[f"{name}_len"]].decode()

    def report(self):
        header = self.header
        structure = self.map[self.structure : self.structure + header["structure_len"]].decode()
        letters = self.structure + header["structure_len"]
        put_notice = self.read("PutNotice", self.head["put_notice"])
        rare = self.read("Rare", self.head["rare"])
        put, get = self.side("put"), self.side("get")
        found = {
            "kind": self.kind,
            "header": {name: value for name, value in header.items() if not isinstance(value, bytes)},
            "state": self.page.names("Segment states")[header["state"]],
            "type_name": self.text("type_name"),
            "schema": self.text("schema"),
            "structure": structure,
            "structure_hash": hash_of(structure.encode()) if structure else 0,
            "dead_letters": self.map[letters : letters + header["dead_letters_len"]].decode(),
            "closed": put_notice["closed"] == 1,
            "poisoned": rare["poisoned"] == 1,
            "participants": list(self.participants()),
            "put": put,
            "get": get,
            "rare": rare,
            "spilled": self.read("SpillWords", self.head["spilled"]),
            "given_up": self.read("GivenUp", self.head["given_up"]),
            "holders": {
                "put_lock": self.process_of(put["lock"] >> 1),
                "put_owner": self.process_of(put["owner"]),
                "get_lock": self.process_of(get["lock"] >> 1),
                "get_owner": self.process_of(get["owner"]),
            },
        }
        if header["max_subscribers"]:
            found["topic"] = self.topic_report()
        elif self.has_ring:
            found["queue"] = self.queue()
            for record in found["queue"]["records"]:
                if record["spilled"]:
                    record["object"] = self.spilled_object(record)
                elif found["type_name"] == "DeadLetter" and record["state"] == "READY":
                    record["letter"] = letter(bytes.fromhex(record["payload"]))
        else:
            found["primitive"] = self.primitive()
        return found

    def spilled_object(self, record):
        version, length, check = struct.unpack("=QQQ", bytes.fromhex(record["payload"]))
        nonce, position = self.header["nonce"], record["position"]
        folder = os.path.dirname(self.path)
        with open(f"{folder}/shmq-spill.{nonce:016x}.{position:016x}", "rb") as file:
            content = file.read()
        head = {name: int.from_bytes(content[at : at + 8], sys.byteorder) for at, _, _, name in self.page.fields("FileHead")}
        if [head["nonce"], head["position"], head["version"]] != [nonce, position, 1]:
            raise SystemExit("the file of an object is another record's")
        is_checked = check == check_of(version, nonce, position, length)
        return {"length": length, "is_checked": is_checked, "first": content[64:72].hex(), "file_bytes": len(content)}


def letter(message):
    """A dead letter: little-endian on every machine."""
    version, reason, deliveries, nanoseconds, queue, type_name, text = struct.unpack_from("<BB2xIQHHH2x", message)
    texts, at = [], 24
    for length in (queue, type_name, text):
        texts.append(message[at : at + length].decode())
        at += length
    found = {"version": version, "reason": reason, "deliveries": deliveries, "unix_ns": nanoseconds}
    return {**found, "queue": texts[0], "type_name": texts[1], "text": texts[2], "message": message[at:].hex()}


def check_of(*words):
    check = 0x6A09E667F3BCC908
    for word in words:
        check = (check ^ word) * 0x9E3779B97F4A7C15 % 2**64
        check = (check << 29 | check >> 35) % 2**64
    return check


def hash_of(text):
    found = 0xCBF29CE484222325
    for byte in text:
        found = (found ^ byte) * 0x100000001B3 % 2**64
    found ^= found >> 32
    found = found * 0x9E3779B97F4A7C15 % 2**64
    found ^= found >> 29
    return found or 1


if __name__ == "__main__":
    print(json.dumps(Segment(Page(sys.argv[1]), sys.argv[2]).report()))
