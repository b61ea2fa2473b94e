"""S7comm-plus as its analysts have published it (the Wireshark dissector at sourceforge.net/projects/s7commwireshark, S7CommPlusDriver):
a reader of its own of each message, for comparisons; tshark has none.

A message becomes a dictionary: its head, and lists of what it holds. What cannot be read any further ends it; `rest` says so."""
import datetime
import math
import struct

REQUEST, RESPONSE, RESPONSE_2, NOTIFICATION = 0x31, 0x32, 0x02, 0x33
ARRAY, ADDRESSES, SPARSE = 0x10, 0x20, 0x40
BLOB, WSTRING, VARIANT, STRUCT, S7STRING = 0x14, 0x15, 0x16, 0x17, 0x19
QUALIFIER = 1256
FIXED = {1: '>?', 2: '>B', 3: '>H', 6: '>b', 7: '>h', 10: '>B', 11: '>H', 12: '>I', 13: '>Q', 14: '>f', 15: '>d', 16: '>Q', 18: '>I'}
VARIABLE = {4: (5, False), 5: (9, False), 8: (5, True), 9: (9, True), 17: (9, True), 19: (5, False)}


class Unreadable(Exception):
    pass


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def peek(self):
        return self.data[self.at] if self.left() else -1

    def take(self, count):
        if count > self.left():
            raise Unreadable
        self.at += count
        return self.data[self.at - count:self.at]

    def one(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def u8(self):
        return self.one('>B')

    def u16(self):
        return self.one('>H')

    def u32(self):
        return self.one('>I')

    def variable(self, octets=5, signed=False):
        """Seven bits an octet, the highest first; of nine octets the last has eight."""
        bits = ''
        for at in range(octets):
            octet = self.u8()
            if at == 8:
                bits += f'{octet:08b}'
                break
            bits += f'{octet & 0x7f:07b}'
            if octet < 0x80:
                break
        value = int(bits, 2)
        if signed and bits[0] == '1':
            value -= 1 << len(bits)
        width = 32 if octets == 5 else 64
        value &= (1 << width) - 1
        return value - (1 << width) if signed and value >> (width - 1) else value


def shown(value):
    """As JSON has it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


class Message:
    def __init__(self, data):
        self.reader = Reader(data)
        self.found = {'ids': [], 'links': [], 'addresses': [], 'values': [], 'objects': [], 'tags': [], 'errors': [], 'rest': True}

    # ---- values ----

    def element(self, kind):
        r = self.reader
        if kind == VARIANT:
            r.u8()
            kind = r.u8()
        if kind == 0:
            return None
        if kind == 16:
            return (datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=r.one('>Q') // 1000)).isoformat(timespec='microseconds')
        if kind in FIXED:
            return shown(r.one(FIXED[kind]))
        if kind in VARIABLE:
            return r.variable(*VARIABLE[kind])
        if kind == WSTRING:
            return r.take(r.variable()).hex()
        if kind == S7STRING:
            r.u8()
            return r.take(r.u8()).hex()
        if kind == BLOB:
            if r.variable() > 1:
                r.take(8)
                if r.u8() not in (2, 3):
                    raise Unreadable
            return r.take(r.variable()).hex()
        raise Unreadable

    def blob_list(self):
        """Whether ids and values stand in the blob that is next."""
        ahead = Reader(self.reader.data[self.reader.at:])
        if ahead.variable() <= 1:
            return False
        ahead.take(8)
        if ahead.u8() != 0:
            return False
        self.reader.at += ahead.at
        return True

    def packed(self):
        self.reader.take(8)
        flags = self.reader.variable()
        count = self.reader.variable()
        if flags & 0x400:
            count = self.reader.variable()
        return self.reader.take(count).hex()

    def value(self, name, depth=0, element=None):
        r = self.reader
        flags, kind = r.u8(), r.u8()
        tell = lambda values, key=None: self.found['values'].append((name, depth, element, key, kind, flags, values))
        if kind == STRUCT:
            self.structure(r.u32(), flags, depth, tell)
        elif flags & (ARRAY | ADDRESSES):
            tell([self.element(kind) for _ in range(r.variable())])
        elif flags & SPARSE:
            keys = 0
            while (key := r.variable()) != 0:
                tell([self.element(4 if kind == VARIANT else kind)], key)
                keys += 1
            if not keys:
                tell([])
        elif kind == BLOB and self.blob_list():
            tell([])
            self.values_to_end(depth + 1)
        else:
            tell([self.element(kind)])

    def structure(self, of, flags, depth, tell):
        if 0x90000000 < of < 0x9fffffff or 0x02000000 < of < 0x02ffffff:
            tell([self.packed()])
            return
        tell([of])
        if not flags & ADDRESSES:
            self.values_to_end(depth + 1)
            return
        count = self.reader.variable()
        for at in range(count):
            self.values_to_end(depth + 1, at if count > 1 else None)

    def values_to_end(self, depth=0, element=None):
        while (name := self.reader.variable()) != 0:
            self.value(name, depth, element)

    # ---- objects, addresses, errors ----

    def description(self, of):
        """A tag, as the first S7-1200 tell of them."""
        r = self.reader
        form = r.u8()
        name = r.take(r.variable()).hex()
        r.u8()
        kind = r.u8()
        r.variable()
        r.take(4)
        self.found['tags'].append((of, name, r.variable(), kind))
        numbers = 1 + (2 if form & 12 else 0) + 2 + {0: 0, 1: 2, 2: 4, 3: 2}[form & 3]
        for _ in range(numbers):
            r.variable()
        for _ in range(2 * r.variable() if form & 3 == 3 else 0):
            r.variable()
        for _ in range(2 if form == 8 else 0):
            r.variable()

    def objects(self, depth=0, outer=0):
        r = self.reader
        while r.left():
            tag = r.peek()
            if tag == 0xa1:
                r.u8()
                relation, of = r.u32(), r.variable()
                r.variable()
                if r.variable() != 0:
                    r.variable()
                self.found['objects'].append((relation, of, depth + 1))
                self.objects(depth + 1, relation)
            elif tag == 0xa2 and depth > 0:
                r.u8()
                return
            elif tag == 0xa3:
                r.u8()
                self.value(r.variable())
            elif tag == 0xa4:
                r.u8()
                r.variable()
                r.take(4)
            elif tag == 0xa7:
                r.u8()
                self.description(outer)
            elif tag == 0xa8:
                r.u8()
            elif tag in (0xab, 0xac):
                self.blocks(r.u8() == 0xab)
            else:
                return

    def blocks(self, types):
        length = self.reader.u16()
        if types and length == 0:
            self.reader.take(4)
        while length:
            self.reader.take(length)
            length = self.reader.u16()

    def address(self):
        crc, area = self.reader.variable(), self.reader.variable()
        self.found['addresses'].append((crc, area, [self.reader.variable() for _ in range(self.reader.variable())]))

    def errors(self):
        while (number := self.reader.variable()) != 0:
            self.found['errors'].append((number, self.reader.variable(9)))

    def ids(self, count):
        self.found['ids'] += [self.reader.variable() for _ in range(count)]

    # ---- bodies ----

    def asked(self):
        self.found['object'] = self.reader.u32()
        return self.found['object']

    def qualifier(self):
        if self.reader.left() < 4 or struct.unpack_from('>I', self.reader.data, self.reader.at)[0] != QUALIFIER:
            return
        self.reader.u32()
        kept = list(self.found['values'])
        self.values_to_end()
        self.found['values'] = kept

    def request(self, function, version):
        r = self.reader
        if function == 0x054c:
            if self.asked() == 0:
                count = r.variable()
                r.variable()
                for _ in range(count):
                    self.address()
            else:
                r.variable()
                self.ids(r.variable())
        elif function == 0x0542:
            count, numbers = (None, None) if self.asked() is None else (r.variable(), r.variable())
            if self.found['object'] == 0:
                for _ in range(count):
                    self.address()
            else:
                self.ids(numbers)
            for _ in range(count):
                self.value(r.variable())
        elif function == 0x04f2:
            self.asked()
            way = [r.variable() for _ in range(r.variable())]
            way = way[:way.index(0)] if 0 in way else way
            self.found['ids'] = way[-1:]
            self.value(way[-1])
        elif function == 0x04fc:
            self.asked()
            self.ids(r.variable())
        elif function in (0x0586, 0x057c):
            self.asked()
            self.value(0)
            if function == 0x057c:
                self.qualifier()
                r.take(2)
                self.value(0)
        elif function == 0x04ca:
            self.asked()
            self.value(0)
            r.take(4)
            if version > 1 and r.peek() != 0xa1:
                r.variable()
            self.objects()
        elif function == 0x04d4:
            self.asked()
        elif function == 0x04bb:
            self.asked()
            r.variable()
            r.take(3)
            filters, count = r.u8(), r.u8()
            self.ids(count if filters == 0 else 0)
        elif function == 0x0524:
            self.asked()
            self.ids(1)
        elif function == 0x0556:
            self.found['transaction'] = r.u8()
            if version > 1:
                self.sequence(r.u16())

    def sequence(self, kind):
        if kind != 1:
            self.asked()
            return
        for _ in range(2):
            if self.reader.peek() != 0xa1:
                self.reader.u8()
        self.objects()

    def response(self, function, version):
        r = self.reader
        self.found['return'] = r.variable(9)
        if function == 0x054c:
            self.values_to_end()
            self.errors()
        elif function == 0x0542:
            self.errors()
        elif function == 0x04fc:
            self.value(0)
        elif function == 0x0586:
            r.u8()
            if r.left() > 1:
                self.value(0)
        elif function == 0x04ca:
            self.ids(r.u8())
            if version == 1 and r.peek() == 0xa1:
                self.objects()
        elif function in (0x04d4, 0x04bb):
            self.asked()
            if function == 0x04bb and version > 1 and r.peek() not in (0xa1, -1):
                r.variable()
            if function == 0x04bb and r.peek() == 0xa1:
                self.objects()
        elif function == 0x0524:
            self.found['links'] = [r.u32() for _ in range(r.u8())]
        elif function == 0x0556 and version > 1:
            r.u16()
            self.found['ids'] = [made for made in (r.u32(),) if made]

    def notification(self, version):
        r = self.reader
        self.found['subscription'] = subscription = [r.u32(), None, None, None]
        if version == 1:
            r.take(4)
            if r.u32() == 0:
                return
            r.take(2)
        elif r.u16() != 0x0400:
            return
        else:
            r.take(4)
            new = subscription[0] >= 0x70000000
            subscription[1] = r.u8() if new else None
            subscription[2] = r.variable() if new else r.u8()
            subscription[3] = r.u8()
            if new and subscription[3] == 0:
                r.take(7)
                subscription[3] = r.u8()
        while (tag := r.u8()) != 0:
            if tag in (0x92, 0x9b):
                self.value(r.u32() if tag == 0x92 else r.variable())
            elif tag == 0x83:
                self.value(0)
            elif tag == 0x81:
                self.objects()
            elif tag in (0x03, 0x13, 0x9c):
                self.found['errors'].append((r.u32(), tag))
            else:
                raise Unreadable

    def read(self, version):
        r, found = self.reader, self.found
        try:
            found['opcode'] = r.u8()
            if found['opcode'] == NOTIFICATION:
                self.notification(version)
                return found
            r.take(2)
            found['function'] = r.u16()
            r.take(2)
            found['sequence'] = r.u16()
            if found['opcode'] == REQUEST:
                found['session'], found['flags'] = r.u32(), r.u8()
                self.request(found['function'], version)
            else:
                r.u8()
                self.response(found['function'], version)
        except Unreadable:
            found['rest'] = False
        return found


def messages(payloads):
    """payloads: (key of a direction, octets of a COTP message) in order. Yields (key, message); parts are put together."""
    parts = {}
    for direction, data in payloads:
        if len(data) < 4 or data[0] != 0x72 or data[1] not in (1, 2, 3):
            continue
        version, length = data[1], struct.unpack_from('>H', data, 2)[0]
        body, digest = data[4:4 + length], None
        if version == 3:
            digest, body = body[1:33], body[33:]
        whole = parts.pop(direction, b'') + body
        if len(data) < 4 + length + 4:
            parts[direction] = whole
            continue
        found = Message(whole).read(version)
        found.update(version=version, digest=digest.hex() if digest else None)
        yield direction, found
