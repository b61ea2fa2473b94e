"""What a tshark reads of a capture, message by message, and its comparison with what the sensor says of the same ones."""
import codecs
import collections
import html
import os
import re
import shutil
import subprocess

from oracle import only_different

PROTO = re.compile(r'<proto name="([^"]*)"')
FIELD = re.compile(r'<field name="([^"]*)"')
ATTRIBUTE = re.compile(r' (show|value|size|pos)="([^"]*)"')


def installed():
    return shutil.which('tshark') is not None


class Message:
    """One protocol's part of a frame: (name, text, bytes as hex) of each field, in the order read."""

    def __init__(self, protocol, frame):
        self.protocol, self.frame, self.fields = protocol, frame, []

    def all(self, name, convert=lambda text: text):
        return [convert(text) for field, text, _ in self.fields if field == name]

    def raw(self, name):
        return [value for field, _, value in self.fields if field == name]

    def first(self, name, convert=lambda text: text):
        return next(iter(self.all(name, convert)), None)

    def has(self, name):
        return any(field == name for field, _, _ in self.fields)


def messages(path, protocols, decode_as=()):
    """Every message of the protocols, in the order of the frames; of one frame's in the order they stand."""
    command = ['tshark', '-r', path, '-Y', ' or '.join(protocols), '-T', 'pdml', '-J', ' '.join((*protocols, 'frame'))]
    for rule in decode_as or ():
        command += ['-d', rule]
    frame, message = 0, None
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          env={**os.environ, 'TZ': 'UTC'}) as running:
        for line in running.stdout:
            line = line.decode(errors='replace')
            proto, field = PROTO.search(line), FIELD.search(line)
            if proto is not None:
                if message is not None:
                    yield message
                message = Message(proto[1], frame) if proto[1] in protocols else None
            elif field is not None:
                attributes = dict(ATTRIBUTE.findall(line))
                text = html.unescape(attributes.get('show', ''))
                if field[1] == 'frame.number':
                    frame = int(text)
                # What has no place in the frame is repeated from another one.
                if message is not None and (attributes.get('size'), attributes.get('pos')) != ('0', '0'):
                    message.fields.append((field[1], text, attributes.get('value', '')))
        if message is not None:
            yield message


def joined(path, first, *behind):
    """Each message of the first protocol with the fields of those behind it in its frame: to tshark what it carries are other protocols."""
    whole = None
    for message in messages(path, (first, *behind)):
        if message.protocol == first:
            if whole is not None:
                yield whole
            whole = message
        elif whole is not None and whole.frame == message.frame:
            whole.fields += message.fields
    if whole is not None:
        yield whole


def number(text):
    return int(text, 0)


def flag(text):
    return text in ('1', 'True')


def numbers(name):
    return lambda message: message.all(name, number)


def texts(name):
    return lambda message: message.all(name)


def flags(name):
    return lambda message: message.all(name, flag)


def octets(name):
    return lambda message: message.raw(name)


def text_of(octets_as_hex):
    """Bytes as the sensor's strings have them: UTF-8, and what is none octet by octet."""
    codecs.register_error('octets', lambda error: (error.object[error.start:error.start + 1].decode('latin-1'), error.start + 1))
    return bytes.fromhex(octets_as_hex).decode('utf-8', 'octets')


def single(value):
    """A 32-bit float, by the digits that tshark prints of it."""
    return f'{float(value):.5g}'


def read_time(text):
    """tshark's date, as `2013-08-09 06:58:39.123`, or as `Aug  9, 2013 06:58:39.123000000 UTC`, to the millisecond."""
    words = text.replace(',', '').split()
    months = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split()
    if words and words[0] in months:
        return f'{words[2]}-{months.index(words[0]) + 1:02}-{int(words[1]):02}T{words[3][:12]}'
    return text.replace(' ', 'T')[:23]


def times(name):
    return lambda message: message.all(name, read_time)


def at_keys(found, path, convert):
    """What stands at the keys of a message of ours, in a list; an empty one where nothing does."""
    for key in path:
        if not isinstance(found, dict) or key not in found:
            return []
        found = found[key]
    return [convert(found)]


def our_time(text):
    return text[:23]


# How the values of one of tshark's fields are read where nothing else is said.
READERS = (numbers, texts, flags, octets, times)


class Values:
    """fields: {name: (their values of a message, or how tshark's field of that name is read; ours of one of our messages)};
    two messages are the same by their keys."""

    def __init__(self, fields, their_key, our_key):
        self.fields, self.their_key, self.our_key = fields, their_key, our_key

    def compare(self, table, capture, theirs, ours):
        theirs = [(self.their_key(message), message) for message in theirs]
        ours = [(self.our_key(message), message) for message in ours]
        for name, (their_values, our_values) in self.fields.items():
            if their_values in READERS:
                their_values = their_values(name)
            told = _told(theirs, their_values), _told(ours, our_values)
            if told[0] or told[1]:
                table.add('values', capture, name, *only_different(*told))


def _told(messages_by_key, values_of):
    """How often which message has which values; those without any are left out."""
    told = collections.Counter()
    for key, message in messages_by_key:
        values = values_of(message)
        if values:
            told[f'{key}: {", ".join(map(str, values))}'] += 1
    return told
